#!/bin/sh
# Stands in for a program with SCONE's runtime: tells its environment and its arguments, and waits for its user.
env | sort
echo "ARGUMENTS $*"
echo WAITING_LOGIN
exec cat

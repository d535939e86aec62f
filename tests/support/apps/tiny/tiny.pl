#!/usr/bin/perl
# A server in twenty lines of intent: notes of one user, kept in a file of the user's volume.
#
#   client: USER <uid>      server: WELCOME <boot id> <generation>  |  REFUSED <code>
#   client: NOTE <text>     server: NOTED        (on disk before it is said)
#   client: READ            server: the notes, then END
#   client: BYE             server: GOODBYE      (ends the session, and the process unless it is the user's own)
#
# It takes its listening socket as a file descriptor (--fd) or binds one (--host, --port), and needs Perl's core only.
use strict;
use warnings;
use IO::Handle;
use IO::Select;
use IO::Socket::INET;

my %option = map { /^--(\w+)=(.*)$/ ? ($1 => $2) : () } @ARGV;
my ($boot_id, $owner) = ($ENV{TINY_BOOT_ID}, $option{uid} // "");
my ($user, $path, $generation);
my $input = IO::Handle->new_from_fd(0, "r");
STDOUT->autoflush(1);

my $listener = listener();
if ($owner ne "") { log_in($owner) or leave("refused") }
else              { print "WAITING_LOGIN\n" }
serve($_) while $_ = next_client();

sub listener {
    if (($option{fd} // "") =~ /^(\d+)$/) {
        return IO::Socket::INET->new_from_fd($1, "r+") || die "no socket at fd $1: $!\n";
    }
    my ($host) = $option{host} =~ /^([\d.]+)$/;
    my ($port) = $option{port} =~ /^(\d+)$/;
    return IO::Socket::INET->new(
        LocalAddr => $host, LocalPort => $port, Listen => 16, ReuseAddr => 1, Proto => "tcp"
    ) || die "cannot listen on port $port: $!\n";
}

# One line of a handle; while it is awaited, the end of the input ends the session.
sub line_of {
    my ($handle) = @_;
    my $line = "";
    my $both = IO::Select->new($handle, $input);
    while (1) {
        for my $ready ($both->can_read) {
            sysread($ready, my $byte, 1) or do {
                leave("drained") if $ready == $input;
                return undef;
            };
            next if $ready == $input && $handle != $input;
            return $line if $byte eq "\n";
            $line .= $byte;
        }
    }
}

sub next_client {
    my $both = IO::Select->new($listener, $input);
    while (1) {
        for my $ready ($both->can_read) {
            return $listener->accept if $ready == $listener;
            sysread($input, my $byte, 1) or leave("drained");
        }
    }
}

sub log_in {
    my ($uid) = @_;
    print "LOGIN $uid\n";
    my ($word, @rest) = split / /, line_of($input), 3;
    $user = $uid;
    ($path, $generation) = ($rest[0] =~ /^(.*)$/, $rest[1]) if $word eq "VOLUME";
    return $word eq "VOLUME" ? 1 : ($path = undef, $generation = $rest[0], 0)[2];
}

sub serve {
    my ($client) = @_;
    $client->autoflush(1);
    while (defined(my $line = line_of($client))) {
        if    ($line =~ /^USER (\S+)$/) { greet($client, $1) or return }
        elsif (!defined $path)          { print $client "REFUSED not_logged_in\n" }
        elsif ($line =~ /^NOTE (.*)$/)  { note($1); print $client "NOTED\n" }
        elsif ($line eq "READ")         { print $client notes(), "END\n" }
        elsif ($line eq "BYE")          { return good_bye($client) }
        else                            { print $client "REFUSED unknown_word\n" }
    }
}

sub greet {
    my ($client, $uid) = @_;
    if (defined $user && $user ne $uid) { print $client "REFUSED server_taken\n"; return 0 }
    if (!defined $path && !log_in($uid)) {
        print $client "REFUSED $generation\n";
        leave("refused");
    }
    print $client "WELCOME $boot_id $generation\n";
    return 1;
}

sub good_bye {
    my ($client) = @_;
    print $client "GOODBYE\n";
    leave("logout") if $owner eq "";
}

sub note {
    my ($text) = @_;
    open(my $file, ">>", "$path/notes") || die "cannot write notes: $!\n";
    print $file "$text\n";
    $file->flush && $file->sync && close($file) || die "cannot keep notes: $!\n";
}

sub notes {
    open(my $file, "<", "$path/notes") || return "";
    return <$file>;
}

sub leave {
    my ($reason) = @_;
    print "LOGOUT $reason\n";
    select(undef, undef, undef, $ENV{TINY_LINGER} // 0);    # seconds it takes to clear up
    exit 0;
}

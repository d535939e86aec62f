"""`python -m standby_cli`: the same as `standby`."""

from standby_cli.main import main

main()

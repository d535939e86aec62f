"""`python -m smartgrid_client` is `smartgrid-client`."""

from smartgrid_client.main import main

main(prog_name="smartgrid-client")

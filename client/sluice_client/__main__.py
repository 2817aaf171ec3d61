from sluice_client.cli import main

main()

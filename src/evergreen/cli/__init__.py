"""The command line. Nothing here is needed to run a flow."""

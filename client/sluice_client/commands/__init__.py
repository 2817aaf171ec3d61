"""What the commands do, once the command line is understood. Each answers an exit code; results go to stdout."""

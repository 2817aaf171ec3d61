"""`template.yaml` on this machine: the AWS services from moto, every function a process against a Runtime API of our
own.
"""

import signal
import sys

if sys.argv[:1] == ["-m"]:
    # `python -m` looks for a program in this package, whose imports take a second. Nothing is started yet, so that
    # Ctrl-C has nothing to end; nor has it to be told by a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

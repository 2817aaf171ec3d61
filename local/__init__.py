"""`template.yaml` on this machine: the AWS services from moto, every function a process against a Runtime API of our
own.
"""

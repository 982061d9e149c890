"""The command line: one module a command, in :mod:`stablenew_kernel.cli.commands`.

It reaches the kernel through ``stablenew_client`` alone. Modules import only click and the contract when they
are loaded; rich and gRPC wait until a command runs, so that ``stablenew --help`` answers at once.
"""

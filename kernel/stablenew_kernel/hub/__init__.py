"""The kernel's gRPC side: links to agents, bulk bytes, and the service that clients call.

Handlers translate between messages and the kernel's own values and decide nothing: what happens is up to the
:mod:`~stablenew_kernel.app`, which they reach through the ports declared here.
"""

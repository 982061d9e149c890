"""The parts of the fake WebUI. :mod:`tests.support.fake_webui` is the way in, and says what it is.

* ``server``: the server, its life, and questions that tests have. ``http_server``: its socket. ``command``: its
  command line.
* ``routes``: lists, options, memory. ``progress``: how far it is, and the interrupt. ``generate``: txt2img,
  img2img and extras, in turn.
* ``drawing``: what a picture looks like. ``infotext``: what is said of it. ``images``: as base64.
* ``traps``: every switch. ``flavours``: how A1111, Forge and SD.Next differ. ``lists``, ``detailer``: what is
  installed. ``openapi``, ``errors``: how it says that.
* ``settings``: what a test wants. ``server_state``: what requests change. ``records``: what is kept of them.
"""

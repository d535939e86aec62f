"""The Routing Manager: which server process a user is sent to.

`core` decides and knows neither network nor clock; `service` does what it decided, on one event loop; `app` is the
HTTP side of it. Everything it knows is soft: it is lost with the process and comes back with the next reports. It may
be wrong at any moment, because the server process and the volume's claim are what keep users apart.
"""

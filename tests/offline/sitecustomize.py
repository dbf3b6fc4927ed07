"""Put this folder on PYTHONPATH and Python is cut off: no name is looked up, nothing but this machine is reached."""

import socket

_connect, _connect_ex, _getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
HERE = ("127.0.0.1", "localhost", "::1", "")


def _refuse_others(host):
    if host not in HERE:
        raise OSError(f"the network is cut off in this test; {host!r} is not reached")


def _host(address):
    return address[0] if isinstance(address, tuple) else ""  # a path: a socket within this machine


def connect(self, address):
    _refuse_others(_host(address))
    return _connect(self, address)


def connect_ex(self, address):
    _refuse_others(_host(address))
    return _connect_ex(self, address)


def getaddrinfo(host, *arguments, **options):
    _refuse_others(host.decode() if isinstance(host, bytes) else host or "")
    return _getaddrinfo(host, *arguments, **options)


socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo = connect, connect_ex, getaddrinfo

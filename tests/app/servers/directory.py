"""An LDAP server of ldaptor on loopback: python3 directory.py PORT FILE. What is in it stands in the LDIF file."""

import sys
from pathlib import Path
from typing import Any

from ldaptor.inmemory import fromLDIFFile  # type: ignore[import-not-found]
from ldaptor.interfaces import IConnectedLDAPEntry  # type: ignore[import-not-found]
from ldaptor.protocols.ldap.ldapserver import LDAPServer  # type: ignore[import-not-found]
from twisted.internet import protocol, reactor  # type: ignore[import-not-found]
from twisted.python.components import registerAdapter  # type: ignore[import-not-found]


class Directory(protocol.ServerFactory):  # type: ignore[misc]
    """Hands the tree to every connection."""

    protocol = LDAPServer

    def __init__(self, root: Any) -> None:
        self.root = root


def serve(root: Any) -> None:
    reactor.listenTCP(int(sys.argv[1]), Directory(root), interface="127.0.0.1")


registerAdapter(lambda found: found.root, Directory, IConnectedLDAPEntry)
with Path(sys.argv[2]).open("rb") as ldif:
    fromLDIFFile(ldif).addCallback(serve)
reactor.run()

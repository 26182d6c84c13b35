"""Where a client finds its hub and key."""

from __future__ import annotations

import os
import pathlib
import socket
import tempfile
import unittest
from unittest import mock

import support  # noqa: F401

from kirosu import _address
from kirosu._requests import batches, key_name, pieces


class Addresses(unittest.TestCase):
    def find(self, hub: str | None = None, key: str | None = None, **environment: str) -> _address.Address:
        return _address.find(hub, key, environment={"KIROSU_DATA_DIR": "/nowhere", **environment})

    def test_the_environment(self) -> None:
        self.assertEqual(self.find(), _address.Address("127.0.0.1", 8765))
        own = self.find(KIRO_SWARM_HOST="hub.lan", KIRO_SWARM_PORT="9", KIRO_SWARM_KEY="k")
        self.assertEqual((own.host, own.port, own.key), ("hub.lan", 9, "k"))
        run = self.find(KIRO_SWARM_PORT="9", KIRO_SWARM_KEY="k", KIROSU_HUB="[::1]:7", KIROSU_TOKEN="t")
        self.assertEqual((run.host, run.port, run.key), ("::1", 7, "t"))
        self.assertEqual(self.find("/run/hub.sock").socket, "/run/hub.sock")
        self.assertEqual(self.find("tcp://a:1").shown, "a:1")
        for text in ("a", "a:b", ":"):
            with self.assertRaises(ValueError):
                self.find(text)

    def test_the_token_of_a_run_goes_only_to_its_hub(self) -> None:
        elsewhere = self.find("other.lan:7", KIROSU_HUB="127.0.0.1:7", KIROSU_TOKEN="t")
        self.assertIsNone(elsewhere.key)
        variables = {"KIROSU_HUB": "127.0.0.1:7", "KIROSU_TOKEN": "t", "KIRO_SWARM_KEY": ""}
        with mock.patch.dict(os.environ, variables):
            keys = [_address.key_for(*address) for address in (("127.0.0.1", 7), ("localhost", 7), ("127.0.0.1", 8), ("a", 7))]
        self.assertEqual(keys, ["t", "t", None, None])

    def test_the_key_of_the_data_folder_is_a_private_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "hub.key")
            path.write_text("secret\n")
            path.chmod(0o600)
            found = self.find(KIROSU_DATA_DIR=folder)
            self.assertEqual((found.key, found.key_is_own), ("secret", True))
            self.assertIsNone(self.find("hub.lan:1", KIROSU_DATA_DIR=folder).key)
            self.assertIsNone(self.find(KIROSU_DATA_DIR=folder, KIROSU_TOKEN="", KIRO_SWARM_HOST="hub.lan").key)
            path.chmod(0o644)
            self.assertIsNone(self.find(KIROSU_DATA_DIR=folder).key)

    def test_the_user_of_a_listener(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            self.assertTrue(_address.listens_as_this_user(port))
            with mock.patch("os.getuid", return_value=os.getuid() + 1):
                self.assertFalse(_address.listens_as_this_user(port))
        self.assertFalse(_address.listens_as_this_user(port))


class Requests(unittest.TestCase):
    def test_batches_are_bounded_by_number_and_size(self) -> None:
        self.assertEqual([len(batch) for batch in batches(({"prompt": "x"} for _ in range(25)), 10)], [10, 10, 5])
        large = [{"prompt": "x" * 3_000_000}] * 3
        self.assertEqual([len(batch) for batch in batches(large, 10)], [1, 1, 1])
        self.assertEqual(list(pieces([1, 22, 333], 10)), [[1, 22], [333]])
        self.assertEqual(list(pieces([], 10)), [])

    def test_long_keys_differ(self) -> None:
        one, other = key_name("flow", "ä" * 200), key_name("flow", "ä" * 201)
        self.assertNotEqual(one, other)
        self.assertLessEqual(len(one.encode()), 256)


if __name__ == "__main__":
    unittest.main()

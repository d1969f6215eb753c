"""Mutants of how the journal seals what people wrote."""

from tests.mutants.mutant import Mutant

_SEALING, _BODIES, _ROWS = (
    "relay/journal/encryption/keys.py",
    "relay/journal/encryption/columns.py",
    "relay/journal/rows.py",
)
_KEYS, _RESEALING = (
    "relay/journal/encryption/keys_in_use.py",
    "relay/journal/encryption/rotation.py",
)
_VAULT, _DATABASE = (
    "relay/journal/encryption/file_tools.py",
    "relay/journal/sqlite/engine.py",
)
_OF_SEALING = ("tests/pure/test_sealing.py",)
_OF_ROWS = ("tests/journal/test_sealed_rows.py",)
_OF_RESEALING = ("tests/journal/test_rotation.py",)
_OF_DISK = ("tests/journal/test_nothing_plain_on_disk.py",)
_OF_DAMAGE = ("tests/core/test_a_damaged_message_is_never_posted.py",)

MUTANTS = (
    Mutant(
        "sealed-for-any-place",
        _SEALING,
        'return _PLACE_LABEL + b"".join(framed)',
        "return _PLACE_LABEL",
        "a sealed body could be passed off as another's",
        _OF_ROWS,
    ),
    Mutant(
        "attempts-share-a-place",
        "relay/journal/encryption/columns.py",
        "return (endpoint.bot, message_id, endpoint.name, str(number))",
        "return (endpoint.bot, message_id, endpoint.name)",
        "what a receiver said to one attempt could be passed off as said to another",
        _OF_ROWS,
    ),
    Mutant(
        "names-run-together",
        _SEALING,
        'len(part).to_bytes(_LENGTH_BYTES, "big") + part for part',
        "part for part",
        "two places would be one",
        _OF_SEALING,
    ),
    Mutant(
        "one-nonce-for-all",
        _BODIES,
        "lambda: os.urandom(NONCE_BYTES)",
        "lambda: bytes(NONCE_BYTES)",
        "equal bodies would look equal, and two of them would give the key stream away",
        _OF_ROWS,
    ),
    Mutant(
        "the-last-key-seals",
        _SEALING,
        "self.first = keys[0]",
        "self.first = keys[-1]",
        "a rotation would never end",
        _OF_SEALING,
    ),
    Mutant(
        "a-key-twice",
        _SEALING,
        "if (first := numbers.setdefault(key.id, number)) != number:",
        "if (first := numbers.setdefault(key.id, number)) > number:",
        "an operator would believe to have rotated",
        _OF_SEALING,
    ),
    Mutant(
        "id-is-the-keys-hash",
        _SEALING,
        "hashlib.sha256(_ID_LABEL + secret)",
        "hashlib.sha256(secret)",
        "the id would be a part of what others may derive from the key",
        _OF_SEALING,
    ),
    Mutant(
        "details-stay-plain",
        _BODIES,
        "if self.keys is None or self.plain or not text:",
        "if self.keys is None or self.plain or text:",
        "a receiver's words would be on the disk, and with them the body that they quote",
        _OF_DISK,
    ),
    Mutant(
        "samples-stay-plain",
        "relay/journal/unreadable.py",
        "sample, sealed_by = cipher.seal(Kind.SAMPLE, (bot, frame.digest), frame.sample)",
        "sample, sealed_by = frame.sample, None",
        "frames that nobody could read would be on the disk",
        _OF_DISK,
    ),
    Mutant(
        "no-look-at-the-keys",
        "relay/journal/open.py",
        "        await database.read(require_keys, keys)\n        await _let",
        "        await _let",
        "a relay would start without the key, and stand still",
        _OF_ROWS,
    ),
    Mutant(
        "only-messages-are-looked-at",
        "relay/journal/encryption/rotation.py",
        "for shelf in SHELVES for key_id in",
        "for shelf in SHELVES[:1] for key_id in",
        "a key would be called unneeded that a receiver's words need",
        _OF_ROWS,
    ),
    Mutant(
        "a-missing-key-is-damage",
        _BODIES,
        "raise JournalUnavailable(text)",
        "raise Damaged(text)",
        "a relay would make dead letters of what a restart would open",
        _OF_ROWS,
    ),
    Mutant(
        "damage-is-posted",
        "relay/delivery/dispatcher.py",
        "        if delivery.message.damage:\n            return self._damaged(delivery.message)\n",
        "",
        "a webhook would get something that is not the message",
        _OF_DAMAGE,
    ),
    Mutant(
        "damage-is-tried-again",
        "relay/delivery/retry.py",
        "        if delivery.message.damage:",
        "        if delivery.attempts < 0:",
        "its lane would wait for minutes for what never changes",
        _OF_DAMAGE,
    ),
    Mutant(
        "any-relay-may-run-beside",
        _RESEALING,
        "    if theirs == seals:\n        return\n",
        "    if theirs == seals or theirs != seals:\n        return\n",
        "a running relay could not open what is sealed anew behind its back",
        _OF_RESEALING,
    ),
    Mutant(
        "looked-at-once-only",
        _RESEALING,
        "    if beside_a_relay:\n        require_same_key",
        "    if not bodies.keys:\n        require_same_key",
        "the same, for a relay that is restarted meanwhile",
        _OF_RESEALING,
    ),
    Mutant(
        "a-relay-may-start-meanwhile",
        _VAULT,
        "            alone = self._try_to_lock()\n",
        "            alone = True\n",
        "it would read keys that are being changed",
        _OF_RESEALING,
    ),
    Mutant(
        "what-was-there-stays-in-free-pages",
        _DATABASE,
        'self._writer.execute("VACUUM")',
        'self._writer.execute("SELECT 1")',
        "what was deleted before there was a key would stay on the disk",
        _OF_DISK,
    ),
    Mutant(
        "what-is-deleted-stays",
        "relay/journal/sqlite/engine.py",
        "wiping = [_WIPING_PRAGMA] if wipes",
        'wiping = ["PRAGMA secure_delete=OFF"] if wipes',
        "plain rows would outlive their deletion",
        _OF_ROWS,
    ),
)

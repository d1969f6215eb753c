"""Mutants of the webhooks' HTTP client: which bytes are taken for whose answer."""

from tests.mutants.mutant import Mutant

_ANSWER, _CONNECTION, _POOL, _SENDER, _DIAL = (
    f"relay/webhook/{name}.py" for name in ("answer", "connection", "pool", "sender", "dial")
)
_LOOKUPS = "relay/net/lookups.py"
_EVIDENCE = ("tests/drivers/test_sender_contract_evidence.py",)
_CONTRACT = (
    *_EVIDENCE,
    "tests/drivers/test_sender_contract.py",
    "tests/drivers/test_sender_contract_connections.py",
    "tests/drivers/test_sender_contract_tls.py",
)
_OF_ANSWER = ("tests/pure/test_answer.py", *_EVIDENCE)

MUTANTS = (
    # --- what decides ---------------------------------------------------------------------------
    Mutant(
        "unasked-bytes-are-kept",
        _CONNECTION,
        '            self._conclude(Failure.PROTOCOL, Sent.NO, "it spoke before it was asked")\n',
        "            self._reader.feed(data)\n",
        "an answer that nobody asked for would be the next message's",
        _EVIDENCE,
    ),
    Mutant(
        "unread-bytes-are-not-looked-for",
        _POOL,
        "            elif connection.waits_unread():\n                connection.abort()\n",
        "",
        "what a busy loop has not read yet would be the next message's answer",
        _EVIDENCE,
    ),
    Mutant(
        "nobody-is-listened-to-first",
        _POOL,
        "            await connection.ends_within(self._policy.listen)\n",
        "            pass\n",
        "a server that says 200 to whoever connects would be a receiver",
        _EVIDENCE,
    ),
    Mutant(
        "mixins-unasked-bytes-are-kept",
        "relay/blaze/transport.py",
        "super()._release(key, protocol, should_close=should_close)\n"
        '        cast("_Handler", protocol).asked = False\n',
        "super()._release(key, protocol, should_close=should_close)\n",
        "an answer that nobody asked for would confirm the next receipts",
        ("tests/drivers/test_api_connections.py",),
    ),
    Mutant(
        "any-protocol-decides",
        _ANSWER,
        'rb"HTTP/1\\.[01] ([1-9]',
        'rb"[A-Z]+/[0-9]\\.[0-9] ([1-9]',
        "RTSP's 200 would be a receiver's",
        _OF_ANSWER,
    ),
    Mutant(
        "broken-frame-takes-the-verdict-back",
        _ANSWER,
        "        except (HttpParserError, HttpParserUpgrade):\n            self.cut = True\n",
        "        except (HttpParserError, HttpParserUpgrade):\n            self.status = None\n",
        "a doubled Content-Length would have a message posted again without end",
        _OF_ANSWER,
    ),
    Mutant(
        "bytes-behind-an-answer-are-passed-over",
        _ANSWER,
        "        self.cut = self.cut or self.complete\n",
        "        pass\n",
        "half of a second answer would be the next message's",
        _OF_ANSWER,
    ),
    Mutant(
        "interim-answers-without-end",
        _ANSWER,
        "if self._interim > MAX_INTERIM:",
        "if False:",
        "one receiver could hold up all others",
        _CONTRACT,
    ),
    Mutant(
        "early-answer-keeps-the-connection",
        _CONNECTION,
        "if not reader.complete or self._transport.get_write_buffer_size():",
        "if not reader.complete:",
        "the rest of one request would be the beginning of another",
        _EVIDENCE,
    ),
    Mutant(
        "time-is-up-before-the-answer-is-read",
        _CONNECTION,
        "            self._read_what_is_left()  # a loop that stood still",
        "            pass  # a loop that stood still",
        "an answer that came in time would be a timeout",
        _EVIDENCE,
    ),
    # --- how long, how many ---------------------------------------------------------------------
    Mutant(
        "what-is-late-is-closed-and-not-cut",
        _CONNECTION,
        "        with suppress(OSError):\n"
        "            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)\n"
        "        self._transport.abort()\n",
        "        self._transport.close()\n",
        "each attempt at a frozen receiver would leave a socket for good",
        _EVIDENCE,
    ),
    Mutant(
        "closing-sockets-are-not-counted",
        _POOL,
        "            connection.abort()\n            raise\n        connection.expires",
        "            self._vacate()\n            connection.abort()\n            raise\n"
        "        connection.expires",
        "sockets would be more than `concurrency`",
        _CONTRACT,
    ),
    Mutant(
        "places-are-lost-with-who-gives-up",
        _POOL,
        "            connection, peer = await self._connect()\n        except BaseException:\n",
        "            connection, peer = await self._connect()\n        except Exception:\n",
        "attempts cut by a stop or a reload would leave an endpoint without connections",
        ("tests/drivers/test_sender_contract_tls.py",),
    ),
    Mutant(
        "keep-alive-hint-is-ignored",
        _POOL,
        "self._policy.keep_idle if idle_timeout is None else idle_timeout - 1.0",
        "self._policy.keep_idle",
        "requests would meet connections that are being closed",
        _EVIDENCE,
    ),
    Mutant(
        "connections-never-get-old",
        _POOL,
        "min(now + keep, connection.expires)",
        "now + keep",
        "a switch by DNS would never be seen",
        _EVIDENCE,
    ),
    Mutant(
        "a-place-is-lost-with-who-waits-for-it",
        _POOL,
        "                self._pass_on(turn.result())\n",
        "                pass\n",
        "cut attempts would leave an endpoint without connections",
        _CONTRACT,
    ),
    # --- who is dialled -------------------------------------------------------------------------
    Mutant(
        "blocked-addresses-are-dialled-beside-others",
        _DIAL,
        "allowed = [info for info, why in refused.items() if why is None]",
        "allowed = found if None in refused.values() else []",
        "a name with two addresses would open the metadata service",
        _CONTRACT,
    ),
    Mutant(
        "dead-names-take-the-threads-of-others",
        _LOOKUPS,
        "threads = self._well if known else self._others",
        "threads = self._others",
        "a dead name would hold up a receiver that is well",
        ("tests/drivers/test_lookups.py",),
    ),
    Mutant(
        "header-breaks-the-frame",
        _SENDER,
        'if lines.count("\\r") != count or lines.count("\\n") != count or "\\0" in lines:',
        "if False:",
        "a header could carry a second request",
        _CONTRACT,
    ),
)

"""Mutants of what crosses the wire: frames as they come in, requests as they go out."""

from tests.mutants.mutant import Mutant

_WIRE, _OF_WIRE = "relay/blaze/wire.py", ("tests/pure/test_wire.py",)
_SESSION, _OF_SESSION = "relay/blaze/session.py", ("tests/pure/test_session.py",)
_LINK, _OF_LINK = "relay/blaze/link.py", ("tests/drivers/test_listener.py",)
_ENVELOPE, _OF_ENVELOPE = "relay/webhook/envelope.py", ("tests/pure/test_envelope.py",)

MUTANTS = (
    Mutant(
        "what-msgspec-refuses-is-no-json",
        _WIRE,
        "        return _read_slowly(data)\n",
        '        raise NotJson("not_json") from None\n',
        "a message with half a character in it would never be delivered",
        _OF_WIRE,
    ),
    Mutant(
        "one-alphabet-of-base64-alone",
        _WIRE,
        'text.replace("-", "+").replace("_", "/").rstrip("=")',
        'text.rstrip("=")',
        "payloads as Mixin's servers write them would not be decoded",
        _OF_WIRE,
    ),
    Mutant(
        "bombs-are-unpacked",
        _WIRE,
        "inflater.decompress(frame, MAX_FRAME_BYTES + 1)",
        "inflater.decompress(frame)",
        "one small frame could take all memory",
        ("tests/pure/test_codec.py",),
    ),
    Mutant(
        "own-echo-is-a-message",
        _SESSION,
        'if user_id == self._app_id and data.get("category") in (None, ""):',
        "if False:",
        "what a bot sends would be posted to its own webhooks",
        _OF_SESSION,
    ),
    Mutant(
        "an-error-beside-data-is-overlooked",
        _SESSION,
        'if envelope.get("error") or envelope.get("action") == _ERROR:',
        'if envelope.get("action") == _ERROR:',
        "a refusal would be taken for a message",
        _OF_SESSION,
    ),
    Mutant(
        "silence-is-not-noticed",
        _LINK,
        "watchdog.reschedule(now + silence)",
        "watchdog.reschedule(None)",
        "a link on which nothing comes any more would be held for ever",
        _OF_LINK,
    ),
    Mutant(
        "the-watchdog-is-never-wound",
        _LINK,
        "watchdog.reschedule(now + silence)",
        "pass",
        "every link would be given up half a minute after it was made",
        _OF_LINK,
    ),
    Mutant(
        "pings-go-unanswered",
        _LINK,
        "await self._socket.pong(frame.data)",
        "pass",
        "Mixin would close the socket every half minute",
        _OF_LINK,
    ),
    Mutant(
        "unknown-fields-are-dropped",
        _ENVELOPE,
        '        data["extra"] = extra\n',
        "        pass\n",
        "receivers would never see what Mixin adds",
        _OF_ENVELOPE,
    ),
    Mutant(
        "half-a-character-stops-a-message",
        _ENVELOPE,
        "    except UnicodeEncodeError:",
        "    except ZeroDivisionError:",
        "one message could be sent that is never delivered",
        _OF_ENVELOPE,
    ),
    Mutant(
        "deep-json-stops-a-message",
        _ENVELOPE,
        "    except RecursionError:",
        "    except ZeroDivisionError:",
        "one message could be sent that is never delivered",
        _OF_ENVELOPE,
    ),
    Mutant(
        "the-body-is-not-ascii",
        _ENVELOPE,
        "return body if body.isascii() else",
        "return body if body else",
        "receivers are told that it is",
        _OF_ENVELOPE,
    ),
    Mutant(
        "only-the-body-is-signed",
        "relay/webhook/signature.py",
        'signed = b"%b.%d.%b" % (msg_id.encode(), timestamp, body)',
        "signed = body",
        "an old request could be sent again by anybody",
        ("tests/pure/test_signature.py",),
    ),
    Mutant(
        "a-listener-of-two-kinds-hears-none",
        "relay/telemetry/event_bus.py",
        "{kind: [method] for kind in get_args(kinds) or (kinds,)}",
        "{kinds: [method]}",
        "a journal that recovers would stay unready",
        ("tests/telemetry/test_voice.py", "tests/telemetry/test_health.py"),
    ),
    Mutant(
        "the-last-values-of-a-bot-stay",
        "relay/telemetry/metric_families.py",
        "                del self[key]\n",
        "                pass\n",
        "a bot that is gone would be shown as it was",
        ("tests/telemetry/test_metrics.py",),
    ),
    Mutant(
        "a-bound-counts-below-itself",
        "relay/telemetry/metric_families.py",
        "bisect_left(self.bounds, value)",
        "bisect_left(self.bounds, value) + 1",
        "every duration would be shown a bucket too long",
        ("tests/telemetry/test_metrics.py",),
    ),
)

"""Answers of two journals, made comparable."""

from dataclasses import replace
from typing import Any

from msgspec import structs

from relay.model.journal import Due, Fresh, OwedReceipt, Stats
from relay.model.messages import Delivery
from relay.model.replays import ReplayRecord, RequestedReplay, Survey


def without_numbers(answer: Any) -> Any:
    """Leave out of an answer what each journal has of its own: its numbers, its size."""
    alike = answer
    match answer:
        case Delivery():
            alike = structs.replace(answer, id=0, seq=0, required=True)
        case Fresh(deliveries=fresh, leading=leading):
            leaders = [delivery.endpoint for delivery in fresh if delivery.id in leading]
            alike = [without_numbers(fresh), leaders, answer.receipt_owed, answer.finished]
        case Due():
            alike = replace(answer, deliveries=without_numbers(answer.deliveries))
        case OwedReceipt():
            alike = structs.replace(answer, seq=0)
        case ReplayRecord():
            alike = replace(answer, looked_through=float(answer.looked_through == 1.0))
        case RequestedReplay():
            alike = replace(answer, replay=without_numbers(answer.replay))
        case Survey():
            alike = answer.messages
        case Stats():
            alike = replace(answer, size_bytes=0)
        case list() | tuple():
            alike = [without_numbers(each) for each in answer]
        case _:
            pass
    return alike

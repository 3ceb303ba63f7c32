"""What the page is told: messages to a `Stage`, dicts that JSON can carry, and the answers.

The two front ends pass messages on from the page and hand the answers back. Every number in an answer is the
engine's: the page only draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from backprop._validate import name_among
from backprop.play import view
from backprop.play.stage import PHASES

if TYPE_CHECKING:
    from backprop.play.stage import Stage

    Message = Mapping[str, Any]
    Answer = dict[str, Any]


def answer(stage: Stage, message: object) -> Answer:
    """What the page is told.

    Parameters
    ----------
    stage : Stage
    message : dict
        ``{"do": name}`` and what else that needs: "state"; "next", "forward", "backward" or "update", one
        layer each; "train" with "epochs"; "restart", which takes the first parameters back; "data" with
        "name", "sample" with "index", "rate" with "lr"; "explain" with "layer", "j" and "k", from 0, k
        being None for a bias.

    Returns
    -------
    dict
        ``{"state": ...}``, ``{"explanation": ...}`` or, if nothing was done, ``{"error": text}``. NaN and
        infinities are there as text only, so that strict JSON holds it.
    """
    with stage.lock:
        try:
            return _answer(stage, message)
        except (TypeError, ValueError, ArithmeticError) as error:
            return {"error": str(error)}


def _answer(stage: Stage, message: object) -> Answer:
    if not isinstance(message, Mapping):
        raise TypeError(f"a message must be a dict, got {type(message).__name__}")
    if message.get("do") == "explain":
        e = stage.explanation(*(_wanted(message, key) for key in ("layer", "j", "k")))
        return {"explanation": view.explanation(stage, e)}
    actions: dict[str, Callable[[Message], None]] = {
        "state": lambda message: None,
        "next": lambda message: stage.step(stage.coming[0]),
        **{phase: lambda message: stage.step(message["do"]) for phase in PHASES},
        "train": lambda message: stage.train(_wanted(message, "epochs")),
        "restart": lambda message: stage.restart(),
        "data": lambda message: stage.choose(_wanted(message, "name")),
        "sample": lambda message: stage.pick(_wanted(message, "index")),
        "rate": lambda message: stage.set_rate(_wanted(message, "lr")),
    }
    actions[name_among("message", message.get("do"), (*actions, "explain"))](message)
    return {"state": view.state(stage)}


def _wanted(message: Message, key: str) -> Any:
    if key not in message:
        raise ValueError(f'the message {message.get("do")!r} needs "{key}"')
    return message[key]

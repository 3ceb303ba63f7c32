"""What all optimizers have in common: settings, of all members of a population or of each, rate and state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from backprop import _core
from backprop._attributes import KnownAttributes
from backprop._of_members import (
    MemberStates,
    checked,
    checked_rates,
    members_of,
    numbers_of,
    of_member,
    shown,
    state_count,
)
from backprop._validate import index_below, positive

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray


class Optimizer(KnownAttributes, _core.Optimizer):
    """What all optimizers have in common; make one of `SGD`, `Adam`, `AdamW`, `RMSprop`.

    Every optimizer takes, besides the settings of its own,

    lr : float or callable
        The learning rate, > 0, or a schedule: one of `backprop.schedules`, or any callable that is given
        the number of steps done and returns the rate of the next one, ≥ 0. ``optimizer.lr = ...`` changes
        it between calls and in callbacks.
    clip_norm : float, optional
        Scales the whole gradient down to this 2-norm where it is larger, before the rule and its weight
        decay see it, as ``torch.nn.utils.clip_grad_norm_`` does.
    clip_value : float, optional
        Holds every entry of the gradient within ±clip_value instead. At most one of the two.
    lazy : bool
        Of a sparse x, matrices of scipy.sparse, moves in each step only the weights of the inputs that occur
        in the batch, and remembers only of those, as ``torch.optim.SparseAdam`` does: momentum, weight decay
        and penalties of all others rest. Adam's eps is then added to √v before it is corrected, for these
        weights. Faster, and not the same: False moves all weights, as for ``x.toarray()``. Without meaning
        for a dense x.

    ``optimizer.state`` is a tuple of what the rule remembers, each (parameters,) in the order of
    `Network.parameters`, and ``optimizer.steps`` the steps done. State belongs to the network first
    stepped; one of another layout is refused with a ValueError.

    For a `Population` every number may be an array (members,), a number for each member, and lr a list of
    numbers and schedules. ``optimizer.state`` is then of arrays (members, parameters), ``optimizer.steps``
    the most steps of a member and ``optimizer.member_steps`` those of each.
    """

    _of_members: MemberStates | None = None
    _lr_of_members: Any = None

    remedies: ClassVar[dict[str, str]] = {
        "learning_rate": "the learning rate is optimizer.lr",
        "lazy": "it is fixed; give it to a new optimizer, such as Adam(lazy=True)",
        "clip_norm": "it is fixed; give it to a new optimizer, such as SGD(0.1, clip_norm=...)",
        "clip_value": "it is fixed; give it to a new optimizer, such as SGD(0.1, clip_value=...)",
    }

    def _start(
        self,
        kind: str,
        lr: Any,
        settings: dict[str, Any],
        clip_norm: Any,
        clip_value: Any,
        lazy: bool,
        **engine: Any,
    ) -> None:
        """Checks what all have in common, and sets the engine up: with `engine`, the rest being checked."""
        lr = checked_rates(positive, lr)
        clips = {"clip_norm": clip_norm, "clip_value": clip_value}
        limits = {name: checked(positive, name, value) for name, value in clips.items() if value is not None}
        if len(limits) > 1:
            raise ValueError(f"at most one of clip_norm and clip_value, got {clip_norm} and {clip_value}")
        flags = {"lazy": True} if lazy else {}
        self._settings = {**settings, **limits, **flags}
        self._numbers = {**engine, **limits}
        self._members = members_of([lr, *self._numbers.values()])
        # The engine has a network's numbers; of a population's the largest, which say what state there is.
        self._engine = kind, {name: max(numbers_of(value)) for name, value in self._numbers.items()} | flags
        self._setup(kind, **self._engine[1], members=self._members or 0)
        self.lr = lr

    def __getstate__(self) -> dict[str, Any]:
        attributes = self.__dict__.copy()
        if self._of_members is not None:
            attributes["_of_members"] = self._of_members.copy()
        return {
            "attributes": attributes,
            "lr": self.lr,
            "steps": self.steps,
            "state": () if self._of_members else tuple(array.copy() for array in self.state),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state["attributes"])
        kind, settings = self._engine
        self.__dict__.setdefault("_numbers", settings)  # 0.1.0 had none of members
        members = self.__dict__.setdefault("_members", None)
        self._setup(kind, **settings, members=members or 0)
        self.lr = state["lr"]
        self.steps = state["steps"]
        self._set_state(state["state"])

    @property
    def lr(self) -> Any:
        """The learning rate: a number above 0, or a schedule; of a population also those of the members."""
        return super().lr if self._lr_of_members is None else self._lr_of_members

    @lr.setter
    def lr(self, lr: Any) -> None:
        rates = checked_rates(positive, lr)
        count = members_of([rates])
        if count is None:
            vars(_core.Optimizer)["lr"].__set__(self, lr)
            self._lr_of_members = None
            return
        if count != self._members:
            raise ValueError(f"lr must have a rate for each of {self._members} members, got {count}")
        self._lr_of_members = rates

    @property
    def lazy(self) -> bool:
        """Whether only the inputs that occur in a batch of a sparse x have their weights moved; fixed."""
        return bool(self._settings.get("lazy", False))

    @property
    def members(self) -> int | None:
        """How many members the population has that this optimizer is of; None for a network's."""
        return self._members

    @property
    def member_steps(self) -> NDArray[np.uint64] | None:
        """The steps of each member of a population, (members,); None without, and before the first."""
        return None if self._of_members is None else self._of_members.steps

    @property
    def state(self) -> tuple[NDArray[Any], ...]:
        """What the rule remembers, each (parameters,), or (members, parameters) of a population's."""
        return super().state if self._of_members is None else self._of_members.state

    @property
    def kind(self) -> str:
        """The engine's name of the rule."""
        return self._engine[0]

    @property
    def of_members(self) -> MemberStates | None:
        """What the rule remembers of a population's members, changed in place while they train."""
        return self._of_members

    @property
    def state_count(self) -> int:
        """How many arrays the rule remembers: none of plain descent, one with momentum, two of Adam's."""
        kind, numbers = self._engine
        return state_count(kind, numbers.get("momentum", 0.0))

    @property
    def numbers(self) -> dict[str, Any]:
        """The rule's numbers as the engine names them, each of all members or (members,); without lr."""
        return dict(self._numbers)

    def join(self, members: int, states: MemberStates) -> None:
        """Makes it the optimizer of a population of so many members, with what it remembers of them.

        Parameters
        ----------
        members : int
        states : MemberStates

        Raises
        ------
        ValueError
            If it is of another number of members, or of a network.
        """
        if self._members not in (None, members):
            raise ValueError(f"this optimizer is of {self._members} members, the population has {members}")
        if self._members is None and (self.steps or self.state):
            raise ValueError("this optimizer is of a network that it has trained; make a new one")
        if self._members is None:
            kind, settings = self._engine
            self._setup(kind, **settings, members=members)
            self._members = members
        self._of_members = states
        self.steps = int(states.steps.max())

    def of_member(self, i: int) -> Self:
        """An optimizer of its own for one member's network: its numbers, its state and its steps.

        Parameters
        ----------
        i : int
            The member, as in ``population[i]``.

        Returns
        -------
        Optimizer

        Raises
        ------
        ValueError, TypeError
            If it is of no population, or there is no such member.
        """
        if self._members is None:
            raise ValueError("this optimizer is of no population")
        i = index_below("a member", i, self._members, "members")
        settings = {
            name: tuple(of_member(each, i) for each in value) if name == "betas" else of_member(value, i)
            for name, value in self.settings.items()
        }
        one = type(self)(**settings)
        if self._of_members is not None:
            one.steps = int(self._of_members.steps[i])
            kept = self._of_members.state[: one.state_count]  # a member without momentum has fewer
            one._set_state(tuple(array[i] for array in kept))
        return one

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments that make an optimizer with these settings, lr as it is now; no state."""
        return {"lr": self.lr, **self._settings}

    @property
    def weight_decay(self) -> float:
        """What share of a parameter is added to its gradient, or for AdamW taken off it; fixed."""
        weight_decay: float = self._settings["weight_decay"]
        return weight_decay

    def __repr__(self) -> str:
        lr = f"{self.lr:g}" if isinstance(self.lr, float) else shown(self.lr)
        rest = (f", {name}={shown(value)}" for name, value in self.settings.items() if name != "lr")
        return f"{type(self).__name__}({lr}{''.join(rest)})"

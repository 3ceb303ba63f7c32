"""REINFORCE on a cart-pole: a policy learns from rewards alone.

The loss is none of the network's: of each decision it is C_0 = -gain · ln a_chosen, where the gain
is how much better the game went on from there than on average (Williams 1992). Its derivative goes
in as dC_da.

    python examples/reinforce_cart_pole.py
"""

import numpy as np

import backprop as bp

GAMES, MOST_STEPS = 16, 200


def moved(state, right):
    """The carts and poles 0.02 s later (Barto et al. 1983): place, speed, angle, angular speed."""
    _, v, angle, turn = state.T
    sine, cosine = np.sin(angle), np.cos(angle)
    push = (np.where(right, 10.0, -10.0) + 0.05 * turn**2 * sine) / 1.1
    turning = (9.8 * sine - cosine * push) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    speeding = push - 0.05 * turning * cosine / 1.1
    return state + 0.02 * np.stack([v, speeding, turn, turning], axis=1)


def play(policy, rng):
    """Some games at once: states, choices and whether the pole still stood, (steps, games, ...)."""
    state, stands, seen = rng.uniform(-0.05, 0.05, (GAMES, 4)), np.ones(GAMES, bool), []
    while stands.any() and len(seen) < MOST_STEPS:
        right = rng.random(GAMES) < policy(state)[:, 1]
        seen.append((state, right, stands))
        state = moved(state, right)
        stands = stands & (abs(state[:, 0]) < 2.4) & (abs(state[:, 2]) < 0.21)
    return map(np.array, zip(*seen, strict=True))


def main():
    rng = np.random.default_rng(0)
    policy = bp.Network.dense(4, 32, 2, hidden="tanh", output="softmax", dtype="float64", seed=0)
    optimizer, lengths = bp.Adam(0.01), []
    for round_number in range(1, 41):
        states, right, stood = play(policy, rng)
        left = np.cumsum(stood[::-1], axis=0)[::-1]  # steps that were still to come
        gains = (left - left.sum(1, keepdims=True) / stood.sum(1, keepdims=True))[stood] / MOST_STEPS
        chosen = np.eye(2)[right[stood].astype(int)]
        a = policy(states[stood])
        policy.step(states[stood], dC_da=-gains[:, None] * chosen / a, optimizer=optimizer)
        lengths.append(stood.sum(0).mean())
        if round_number % 10 == 0:
            print(f"round {round_number}: the pole stands for {np.mean(lengths[-5:]):.0f} steps")
    return lengths


if __name__ == "__main__":
    main()

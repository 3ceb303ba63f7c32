"""A physics-informed network: it solves -u'' = π² sin πx, u(0) = u(1) = 0, from the equation alone.

u = x(1 - x) a(x) fulfils the boundary conditions for any network a. u'' is a central difference of
u at x - h, x and x + h: three outputs of the network, so that the residual's derivatives go in as
their dC_da. The exact solution, sin πx, is only compared with.

    python examples/physics_informed.py
"""

import numpy as np

import backprop as bp

POINTS, H = 40, 1e-2


def main() -> float:
    middle = np.linspace(H, 1 - H, POINTS)
    x = np.stack([middle - H, middle, middle + H])  # (3, points)
    bump, stencil = x * (1 - x), np.array([[1.0], [-2.0], [1.0]]) / H**2
    net = bp.Network.dense(1, 16, 16, 1, hidden="tanh", output="identity", dtype="float64", seed=0)
    optimizer, inputs = bp.Adam(bp.schedules.Cosine(0.01, 2000)), x.reshape(-1, 1)
    for step in range(1, 2001):
        u = bump * net(inputs).reshape(3, POINTS)
        residual = (stencil * u).sum(0) / np.pi**2 + np.sin(np.pi * middle)
        # C is the mean of residual² over the points; the network's mean is over three times as many samples
        dC_da = 3 * 2 * residual * stencil / np.pi**2 * bump
        net.step(inputs, dC_da=dC_da.reshape(-1), optimizer=optimizer)
        if step % 500 == 0:
            error = float(abs(u - np.sin(np.pi * x)).max())
            print(f"step {step}: residual {np.mean(residual**2) ** 0.5:.1e}, error of u {error:.1e}")
    return error


if __name__ == "__main__":
    main()

"""An autoencoder made of two networks: one makes 8 numbers of a digit, the other makes a digit of 8 numbers.

The decoder's vector_jacobian carries ∂C_0/∂a back through it, to the code that it read; there it is
the dC_da of the encoder, whose output the code is.

    python examples/two_networks.py
"""

import numpy as np

import backprop as bp


def main() -> list[float]:
    x, _, x_test, _ = bp.datasets.load_digits()
    encoder = bp.Network.dense(64, 32, 8, hidden="silu", output="tanh", seed=0)
    decoder = bp.Network.dense(8, 32, 64, hidden="silu", output="sigmoid", seed=1)
    optimizers = bp.Adam(0.003), bp.Adam(0.003)
    rng, errors = np.random.default_rng(0), []
    for epoch in range(1, 21):
        for batch in np.array_split(rng.permutation(len(x)), len(x) // 32):
            images = x[batch]
            codes = encoder(images)
            dC_da = 2 * (decoder(codes) - images)  # of C_0 = Σ(a - image)²
            dC_dcode = decoder.vector_jacobian(codes, dC_da)
            decoder.step(codes, dC_da=dC_da, optimizer=optimizers[0])
            encoder.step(images, dC_da=dC_dcode, optimizer=optimizers[1])
        errors.append(float(np.mean((decoder(encoder(x_test)) - x_test) ** 2)))
        if epoch % 5 == 0:
            share = errors[-1] / np.var(x_test, axis=0).mean()
            print(f"epoch {epoch}: {share:.1%} of the variance is lost in 8 numbers")
    return errors


if __name__ == "__main__":
    main()

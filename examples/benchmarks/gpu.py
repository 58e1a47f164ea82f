"""Milliseconds of a training step of one network and of stacks, on CUDA and the CPU, beside a loop in plain PyTorch.

The default network, 50 columns and 10 classes. Rows are on the device before the time is taken, and batches are made
there; the CPU has one thread, and its times are those of the processor. Share of peak: floating-point operations of the
weights' products, 6 a weight and row, by those of a product of large matrices of float32 in the same time. The plain
loop is a network of the same layers, dropout and optimiser (fused AdamW), whose inputs are not scaled, in PyTorch: as
it is, compiled, or in bfloat16 by autocast, for which this package has no parameter; of several networks it is the time
of so many loops one after the other. Without a CUDA device it says so, and measures the CPU alone.

    python examples/benchmarks/gpu.py          # minutes
    python examples/benchmarks/gpu.py --quick  # seconds, only to see that it runs
"""

import argparse
import contextlib
import time
import warnings

import numpy as np
import torch
from torch import nn

from sklkl import KLNet
from sklkl.data import Batches, Rows, TrainingSet
from sklkl.modules import MLP, DenseScaling
from sklkl.net import train_together

COLUMNS, HIDDEN, CLASSES, DROPOUT = 50, (384, 256), 10, 0.3
BATCHES = {"cuda": (128, 1024, 4096, 16_384), "cpu": (128, 1024)}
STACKS = {"cuda": (1, 10, 100, 500), "cpu": (1, 10)}
STEPS = {"cuda": 20, "cpu": 4}
ADAMW = {"optimizer": torch.optim.AdamW, "optimizer__fused": True, "optimizer__weight_decay": 0.3}
# of the device's memory may be taken by a stack's activations
MOST = 0.4


def rows_on(device, n_rows):
    random = np.random.RandomState(0)
    X = random.standard_normal((n_rows, COLUMNS)).astype(np.float32)
    y = (X @ random.standard_normal((COLUMNS, CLASSES))).argmax(1)
    return Rows(X, y).to(device)


# Seconds of a step: of many epochs less those of one, so that what is done once is not counted


def finished(device):
    if device == "cpu":  # of one thread: others on a busy machine do not count
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def seconds_of_a_step(device, train, n_steps, rounds):
    """Return the median over rounds of ``train(n_epochs)``, after one to warm up."""
    found = []
    for _ in range(rounds + 1):
        times = []
        for n_epochs in (1, 4):
            start = finished(device)
            train(n_epochs)
            times.append(finished(device) - start)
        found.append((times[1] - times[0]) / (3 * n_steps))
    return float(np.median(found[1:]))


# What is compared


def nets(device, batch, rule, n_networks, **params):
    scaling = DenseScaling(np.random.RandomState(0).standard_normal((1000, COLUMNS)).astype(np.float32))
    shape = {"n_features": COLUMNS, "n_classes": CLASSES, "hidden_layer_sizes": HIDDEN, "dropout": DROPOUT}
    module = {f"module__{name}": value for name, value in (shape | {"scaling": scaling}).items()}
    given = {"classes": range(CLASSES), "learning_rate": rule, "batch_size": batch, "device": device, **params}
    made = [KLNet(MLP, **module, **ADAMW, **given, verbose=0, random_state=0) for _ in range(n_networks)]
    return [net.initialize() for net in made]


def stack(device, rows, batch, rule, n_networks, **params):
    """Return what trains a stack for some epochs; one network is trained as by itself."""
    ours, data = nets(device, batch, rule, n_networks, **params), TrainingSet(rows)

    def train(n_epochs):
        for net in ours:
            net.max_epochs = n_epochs
        if n_networks == 1:
            ours[0].partial_fit(data)
        else:
            train_together(ours, [data] * n_networks)

    return train


def plain(device, rows, batch, compiled=False, bfloat16=False):
    """Return what trains a network for some epochs by a loop as one writes it."""
    sizes, layers = (COLUMNS, *HIDDEN), []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(DROPOUT)]
    module = nn.Sequential(*layers, nn.Linear(HIDDEN[-1], CLASSES)).to(device)
    optimizer = torch.optim.AdamW(module.parameters(), fused=True)
    forward = torch.compile(module) if compiled else module
    batches = Batches(rows, batch, shuffle=True)
    cast = torch.autocast(device, torch.bfloat16) if bfloat16 else contextlib.nullcontext()

    def train(n_epochs):
        for _ in range(n_epochs):
            for x, y in batches:
                with cast:
                    loss = nn.functional.cross_entropy(forward(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    return train


# Tables


def peak(device, n_rows=8192):
    """Return the floating-point operations a second of a product of large matrices in float32."""
    n_rows = n_rows if device == "cuda" else 1024
    a = torch.randn(n_rows, n_rows, device=device)
    found = seconds_of_a_step(device, lambda n_epochs: products(a, 5 * n_epochs), 5, rounds=3)
    return 2 * n_rows**3 / found


def products(a, n_times):
    for _ in range(n_times):
        a @ a


def n_weights():
    sizes = (2 * COLUMNS, *HIDDEN, CLASSES)  # a scaled column has two
    return sum(n_in * n_out for n_in, n_out in zip(sizes, sizes[1:], strict=False))


def fits(device, batch, n_networks):
    if device == "cpu":
        return True
    activations = 8 * n_networks * batch * sum(HIDDEN) * 4  # outputs, gradients, masks and what is kept of each
    return activations < MOST * torch.cuda.get_device_properties(0).total_memory


def line(*cells):
    print(f"| {' | '.join(cells)} |", flush=True)


def head(*names):
    line(*names)
    print("|" + "---|" * len(names))


def table_of_steps(device, stacks, sizes, n_steps, rounds):
    of_peak = peak(device)
    name = torch.cuda.get_device_name(0) if device == "cuda" else "CPU, one thread"
    print(f"\n{name}: {of_peak / 1e12:.2f} TFLOP/s in a product of large matrices of float32\n")
    head(device, "batch", "networks", "kl_adaptive, ms", "constant, ms", "share of peak, %", "plain loops / constant")
    for batch in sizes:
        rows = rows_on(device, n_steps * batch)
        alone = seconds_of_a_step(device, plain(device, rows, batch), n_steps, rounds)
        for n_networks in stacks:
            if not fits(device, batch, n_networks):
                line("a step", f"{batch:,}", str(n_networks), "more memory than is there", "", "", "")
                continue
            adaptive, constant = (
                seconds_of_a_step(device, stack(device, rows, batch, rule, n_networks), n_steps, rounds)
                for rule in ("kl_adaptive", "constant")
            )
            share = 6 * n_weights() * batch * n_networks / constant / of_peak
            times = f"{adaptive * 1e3:.2f}", f"{constant * 1e3:.2f}", f"{100 * share:.1f}"
            line("a step", f"{batch:,}", str(n_networks), *times, f"{alone * n_networks / constant:.2f}")


def table_of_ways(device, sizes, n_steps, rounds, compiles):
    print()
    head(f"one network, {device}", "batch", "ms a step")
    for batch in sizes:
        rows = rows_on(device, n_steps * batch)
        ways = {
            "sklkl": lambda: stack(device, rows, batch, "constant", 1),  # noqa: B023
            "plain loop": lambda: plain(device, rows, batch),  # noqa: B023
            "plain loop, bfloat16": lambda: plain(device, rows, batch, bfloat16=True),  # noqa: B023
        }
        if compiles:
            ways["sklkl, compile=True"] = lambda: stack(device, rows, batch, "constant", 1, compile=True)  # noqa: B023
            ways["plain loop, compiled"] = lambda: plain(device, rows, batch, compiled=True)  # noqa: B023
            ways["plain loop, compiled, bfloat16"] = lambda: plain(device, rows, batch, True, True)  # noqa: B023
        for name, make in ways.items():
            line(name, f"{batch:,}", f"{seconds_of_a_step(device, make(), n_steps, rounds) * 1e3:.2f}")


def main(quick=False):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rounds = 1 if quick else 3
    found = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in reversed(found):
        stacks, sizes, n_steps = ((1, 3), (128,), 2) if quick else (STACKS[device], BATCHES[device], STEPS[device])
        table_of_steps(device, stacks, sizes, n_steps, rounds)
        table_of_ways(device, sizes[:2], n_steps, rounds, compiles=device == "cuda")
    if "cuda" not in found:
        print("\nThere is no CUDA device: these are the figures of the CPU alone.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    main(parser.parse_args().quick)

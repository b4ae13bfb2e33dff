"""What PyTorch reaches on the GPU that gpu.sh measures; gpu.sh runs it.

Usage: vulkan_torch.py DEVICE SECONDS SIZE products | train CONFIG eager|compiled | generate CONFIG STREAMS...

DEVICE is cuda or cpu, SIZE the side of the largest matrix. Prints lines of three fields: figure, column (eager or
compiled), value; products and attention in TFLOP/s, the rest in bytes/s. f32 is without TF32. Training is forward,
backward, clipping and AdamW on the model of the configuration; "half" is bf16 by autocast. Generating keeps keys and
values: one row of the patches' level a patch, one of the bytes' level a byte; bytes are drawn on the device.
Exits with 77 where torch or the device is missing.
"""
import json
import os
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError as missing:
    print(f"vulkan_torch.py: {missing}: left out", file=sys.stderr)
    sys.exit(77)

ROTATED = {}


def rotation(device, first, rows, size):
    """cos and sin [rows, 1, size / 2] of the rows' places."""
    key = (device, size)
    if key not in ROTATED:
        angle = torch.outer(torch.arange(16384.0), 10000 ** (-torch.arange(0, size, 2) / size)).to(device)
        ROTATED[key] = angle.cos()[:, None], angle.sin()[:, None]
    return [x[first:first + rows] for x in ROTATED[key]]


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1).type_as(x)


class Block(torch.nn.Module):
    def __init__(self, dim, heads, width):
        super().__init__()
        self.heads = heads
        self.gains = torch.nn.ParameterList(torch.ones(dim) for _ in range(2))
        self.query_gain = torch.nn.Parameter(torch.full((heads, 1), 1.5))
        self.q, self.k, self.v, self.o = (torch.nn.Linear(dim, dim, bias=False) for _ in range(4))
        self.up, self.down = torch.nn.Linear(dim, width, bias=False), torch.nn.Linear(width, dim, bias=False)

    def forward(self, x, angles, cache=None):  # [B, T, dim]; a cache is a list of the keys and values before x
        h = F.rms_norm(x, x.shape[-1:], self.gains[0], 1e-5)
        q, k, v = (f(h).unflatten(-1, (self.heads, -1)) for f in (self.q, self.k, self.v))
        q = rotate(F.rms_norm(q, q.shape[-1:]) * self.query_gain, *angles).to(v.dtype)
        k = rotate(F.rms_norm(k, k.shape[-1:]), *angles).to(v.dtype)
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        if cache is not None:
            cache[:] = k, v = [torch.cat(pair, 2) for pair in zip(cache, (k, v))] if cache else [k, v]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        h = F.rms_norm(x, x.shape[-1:], self.gains[1], 1e-5)
        return x + self.down(F.relu(self.up(h)).square())


class Level(torch.nn.Module):
    def __init__(self, c, unit):
        super().__init__()
        self.unit, self.size = unit, c["dim"] // c["heads"]
        self.embed = torch.nn.Embedding(256, c["dim"] // unit)
        self.start = torch.nn.Parameter(torch.randn(unit, c["dim"] // unit))
        self.blocks = torch.nn.ModuleList(Block(c["dim"], c["heads"], c["mlp_width"]) for _ in range(c["layers"]))
        self.gain = torch.nn.Parameter(torch.ones(c["dim"]))

    def embedded(self, x):  # units before each row [B, T - 1, unit] -> [B, T, dim]
        start = self.start.expand(x.shape[0], 1, -1, -1)
        return torch.cat((start, self.embed(x)), 1).flatten(2)

    def forward(self, x, angles, caches=None):
        for i, block in enumerate(self.blocks):
            x = block(x, angles, caches[i] if caches else None)
        return F.rms_norm(x, x.shape[-1:], self.gain, 1e-5)


class MegaByte(torch.nn.Module):
    """Two levels at octet's defaults: the same parameters as the configuration has there."""

    def __init__(self, config):
        super().__init__()
        top, bottom = config["levels"]
        self.patch = top["patch"]
        self.top, self.bottom = Level(top, self.patch), Level(bottom, 1)
        self.slice = torch.nn.Linear(top["dim"] // self.patch, bottom["dim"], bias=False)
        self.head = torch.nn.Linear(bottom["dim"], 256, bias=False)

    def forward(self, x, top_angles, bottom_angles):  # [B, context] -> the loss
        patches = x.unflatten(1, (-1, self.patch))
        h = self.top(self.top.embedded(patches[:, :-1]), top_angles)
        slices = self.slice(h.unflatten(-1, (self.patch, -1)))
        rows = self.bottom.embedded(patches.flatten(0, 1)[:, :-1, None]) + slices.flatten(0, 1)
        logits = self.head(self.bottom(rows, bottom_angles))
        return F.cross_entropy(logits.flatten(0, 1).float(), x.flatten())


def finish(device):
    if device == "cuda":
        torch.cuda.synchronize()


def best_of(work, device, seconds):
    """Seconds of the fastest of several runs, of which there are as many as fit."""
    for _ in range(2):
        work()
    finish(device)
    best, end = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        begin = time.perf_counter()
        work()
        finish(device)
        best = min(best, time.perf_counter() - begin)
    return best


def print_figure(figure, column, value):
    print(f"{figure}\t{column}\t{value:.6g}", flush=True)


def products(device, seconds, most):
    for name, kind in (("f32", torch.float32), ("half", torch.float16)):
        best, n = 0, min(512, most)
        while n <= most:
            a, b = (torch.randn(n, n, device=device).to(kind) for _ in range(2))
            best = max(best, 2 * n ** 3 / best_of(lambda: a @ b.T, device, seconds))
            n *= 2
        print_figure(f"matmul.{name}", "eager", best / 1e12)
        forward, backward, time_ = 0, 0, 2 * min(512, most)
        while time_ <= 2 * most:
            q, k, v = (torch.randn(1, 8, time_, 64, device=device).to(kind).requires_grad_() for _ in range(3))
            flops = 2 * 8 * 64 * time_ ** 2  # causal: half of all pairs; backward 2.5 times as many

            def attend():
                return F.scaled_dot_product_attention(q, k, v, is_causal=True)

            once = best_of(attend, device, seconds)
            y = attend()
            back = best_of(lambda: torch.autograd.grad(y, (q, k, v), y, retain_graph=True), device, seconds)
            forward, backward, time_ = max(forward, flops / once), max(backward, 2.5 * flops / back), time_ * 4
        print_figure(f"attention.forward.{name}", "eager", forward / 1e12)
        print_figure(f"attention.backward.{name}", "eager", backward / 1e12)


def read_config(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file), os.path.basename(path).removesuffix(".json").removeprefix("gpu-")


def train(device, seconds, path, column):
    config, name = read_config(path)
    model = MegaByte(config).to(device)
    print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters", file=sys.stderr)
    x = torch.randint(0, 256, (config["train"]["batch"], config["context"]), device=device)
    angles = (rotation(device, 0, config["context"] // model.patch, model.top.size),
              rotation(device, 0, model.patch, model.bottom.size))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=device == "cuda")
    run = torch.compile(model) if column == "compiled" else model
    for kind in ("f32", "half"):
        def step():
            optimizer.zero_grad()
            with torch.autocast(device, torch.bfloat16, enabled=kind == "half"):
                loss = run(x, *angles)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

        print_figure(f"train.{name}.{kind}", column, x.numel() / best_of(step, device, seconds))


@torch.no_grad()
def generate_bytes(model, device, streams, n, skip):
    """Seconds that the bytes from skip to n of all streams took."""
    units = torch.empty(streams, 0, 1, dtype=torch.long, device=device)  # the patch before
    caches = [[] for _ in model.top.blocks]
    for at in range(0, n, model.patch):
        if at == skip:
            finish(device)
            begin = time.perf_counter()
        before = units.transpose(1, 2) if at else units.new_empty(streams, 0, model.patch)
        h = model.top.embedded(before)[:, -1:]
        h = model.top(h, rotation(device, at // model.patch, 1, model.top.size), caches)
        slices = model.slice(h.unflatten(-1, (model.patch, -1)))[:, 0]
        inner, units = [[] for _ in model.bottom.blocks], units[:, :0]
        for i in range(model.patch):
            row = model.bottom.embedded(units)[:, -1:] + slices[:, i:i + 1]
            logits = model.head(model.bottom(row, rotation(device, i, 1, model.bottom.size), inner))
            drawn = torch.multinomial(logits[:, 0].float().softmax(-1), 1)
            units = torch.cat((units, drawn[:, None]), 1)
    finish(device)
    return time.perf_counter() - begin


def generate(device, path, most, streams):
    config, name = read_config(path)
    model = MegaByte(config).to(device).eval()
    n = 2112 if most > 512 else 96
    generate_bytes(model, device, 1, 128, 64)
    for s in streams:
        print_figure(f"generate.{name}.{s}", "eager", s * (n - 64) / generate_bytes(model, device, s, n, 64))


def main():
    device, seconds, most, what = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    if device == "cuda" and not torch.cuda.is_available():
        print("vulkan_torch.py: torch finds no CUDA device: left out", file=sys.stderr)
        sys.exit(77)
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if what == "products":
        products(device, seconds, most)
    elif what == "train":
        train(device, seconds, sys.argv[5], sys.argv[6])
    else:
        generate(device, sys.argv[5], most, [int(s) for s in sys.argv[6:]])


main()

"""Speed of the two public families of byte-level hierarchies in PyTorch, for peers.sh.

Usage: peers_torch.py THREADS SECONDS

Prints one line a result: name, bytes/s. Training is a whole step (forward, backward, AdamW) in f32 on the same
shapes as bench/configs/*.json; the best step counts. Generating is what the implementations do: the whole prefix is
run again for every byte. bGPT is put together from the GPT-2 of the transformers library, as its authors did.
Exits with 77 where a module is missing.
"""
import sys
import time

try:
    import torch
    from MEGABYTE_pytorch import MEGABYTE
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model
except ImportError as missing:
    print(f"peers_torch.py: {missing}: left out", file=sys.stderr)
    sys.exit(77)


class ByteGPT(torch.nn.Module):
    """bGPT: a GPT-2 over one-hot patches, whose states are the first row of a GPT-2 over bytes."""

    def __init__(self, width=768, patch=16, patches=512, layers=(12, 3), symbols=257):
        super().__init__()
        self.patch, self.symbols = patch, symbols
        self.embed = torch.nn.Linear(patch * symbols, width)
        of_patches = GPT2Config(vocab_size=1, n_embd=width, n_layer=layers[0], n_head=width // 64, n_positions=patches)
        of_bytes = GPT2Config(vocab_size=symbols, n_embd=width, n_layer=layers[1], n_head=width // 64,
                              n_positions=patch + 1)
        for config in (of_patches, of_bytes):
            config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = 0.0
        self.patches, self.bytes = GPT2Model(of_patches), GPT2LMHeadModel(of_bytes)

    def states(self, x):  # [B, N, P] -> [B, N, width]
        one_hot = torch.nn.functional.one_hot(x, self.symbols).to(torch.float32)
        return self.patches(inputs_embeds=self.embed(one_hot.flatten(2))).last_hidden_state

    def logits(self, states, x):  # [M, width], [M, n] -> [M, n + 1, symbols]
        known = self.bytes.transformer.wte(x)
        return self.bytes(inputs_embeds=torch.cat((states[:, None], known), 1)).logits

    def loss(self, x):
        states = self.states(x)[:, :-1].flatten(0, 1)
        targets = x[:, 1:].flatten(0, 1)
        logits = self.logits(states, targets[:, :-1])
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def best_of(work, seconds):
    work()
    best, end = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best


def training(name, model, loss, batch, seconds):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step():
        optimizer.zero_grad()
        loss(batch).backward()
        optimizer.step()

    print(f"{name}.train\t{batch.numel() / best_of(step, seconds):.1f}", flush=True)


def main():
    threads, seconds = int(sys.argv[1]), float(sys.argv[2])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    megabyte = MEGABYTE(num_tokens=256, dim=(512, 256), depth=(6, 4), max_seq_len=(1024, 4), flash_attn=True)
    x = torch.randint(1, 256, (1, 4096))
    training("megabyte-pytorch", megabyte, lambda b: megabyte(b, return_loss=True), x, seconds)
    with torch.no_grad():
        megabyte.eval()
        print(f"megabyte-pytorch.generate\t{1 / best_of(lambda: megabyte(x[:, :2048]), seconds):.2f}", flush=True)
    del megabyte
    bgpt = ByteGPT()
    x = torch.randint(0, 256, (1, 512, 16))
    training("bgpt", bgpt, bgpt.loss, x, seconds)
    with torch.no_grad():
        bgpt.eval()
        state = bgpt.states(x[:, :128])[0, -1:]
        tail = torch.randint(0, 256, (1, 8))
        # as its generate.py: the patches once a patch, the bytes of the patch once a byte
        patch = best_of(lambda: bgpt.states(x[:, :128]), seconds)
        byte = best_of(lambda: bgpt.logits(state, tail), seconds)
        print(f"bgpt.generate\t{16 / (patch + 16 * byte):.2f}", flush=True)


main()

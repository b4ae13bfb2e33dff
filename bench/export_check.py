"""export_check.py EXPORT SIDE CASE: loads an export into MEGABYTE-pytorch and compares its logits.

EXPORT is the file, SIDE the arguments that octet export printed, CASE a folder with case.json and
cases.safetensors (see tests/data/import/README.md). Exit code 1 where a logit is more than 1e-4 off.
"""

import json
import pathlib
import struct
import sys

import torch
from MEGABYTE_pytorch import MEGABYTE

TYPES = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64}


def load(path):
    """The tensors of a safetensors file."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length :]
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        piece = bytearray(body[begin:end])
        kind = TYPES[entry["dtype"]]
        flat = torch.frombuffer(piece, dtype=kind) if piece else torch.empty(0, dtype=kind)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def main():
    export, side, case = sys.argv[1:]
    arguments = json.loads(pathlib.Path(side).read_text())
    name = pathlib.Path(case).name
    if arguments.pop("version").startswith("0.2."):
        print(f"{name}: skipped, one head of keys for all needs MEGABYTE-pytorch 0.2")
        return 0
    for key in ("dim", "depth", "max_seq_len"):
        arguments[key] = tuple(arguments[key])
    pad = json.loads((pathlib.Path(case) / "case.json").read_text())["config"].get("pad_id", 0)
    model = MEGABYTE(pad_id=pad, **arguments).eval()
    model.load_state_dict(load(export), strict=True)
    cases = load(pathlib.Path(case) / "cases.safetensors")
    largest, index = 0.0, 0
    while f"ids.{index}" in cases:
        ids = cases[f"ids.{index}"]
        if ids.numel():
            with torch.no_grad():
                logits = model(ids[None], return_loss=False)[0]
            largest = max(largest, (logits - cases[f"logits.{index}"]).abs().max().item())
        index += 1
    print(f"{name}: {index} inputs, logits at most {largest:.1e} off")
    return 0 if largest <= 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())

"""Runs a decoder plain and steered, and prints what the steering found: python3 steered_run.py libattention_kernels.so model.onnx

Needs the packages onnxruntime (1.18 or later) and numpy.
"""

import sys

import numpy as np
import onnxruntime as ort

import attention_kernels as ak

TOKENS = 96


def clip():
    """Roles of a made-up clip: 8 tokens of the system prompt, two frames of 4 x 8 visual tokens (left: speaker 0, right: speaker 1), 12 words of each speaker."""
    modality, speakers, frames = [], [], []
    for token in range(TOKENS):
        visual, word = token - 8, token - 72
        if word >= 0:
            role = (ak.TEXT, 1 << (word // 12), (0, 2))
        elif visual >= 0:
            role = (ak.VISUAL, 1 << (visual % 8 // 4), (visual // 32, visual // 32 + 1))
        else:
            role = (ak.SYSTEM, 0, (0, 2))
        for values, value in zip((modality, speakers, frames), role):
            values.append(value)
    return modality, speakers, frames


def feed(value):
    """One prompt's tensor for an input of a decoder as onnxruntime-genai exports it."""
    past = value.name.startswith("past_key_values.")
    batch_axis = 1 if value.name == "position_ids" and len(value.shape) == 3 else 0
    shape = [d if isinstance(d, int) else 1 if i == batch_axis else 0 if past else TOKENS for i, d in enumerate(value.shape)]
    if value.name == "attention_mask":
        return np.ones(shape, np.int64)
    if value.name == "position_ids":
        return np.broadcast_to(np.arange(TOKENS, dtype=np.int64), shape).copy()
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float16 if "float16" in value.type else np.float32)


def main(library_path, model):
    options = ort.SessionOptions()
    options.add_session_config_entry("attention_kernels.override", "GroupQueryAttention")
    options.register_custom_ops_library(library_path)
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feeds = {value.name: feed(value) for value in session.get_inputs()}

    library = ak.Library(library_path)
    plain = session.run(["logits"], feeds)[0]
    with ak.Scope(library, *clip()) as scope:
        steered = session.run(["logits"], feeds)[0]
    for layer in scope.read():
        print(f"layer {layer.layer} ({layer.node})")
        for head, (score, (before, after, _, _)) in enumerate(zip(layer.scores[0], layer.alignment[0])):
            print(f"  head {head}: score {score:.3e}, mean aligned attention {before:.3e} -> {after:.3e}")
    print(f"largest change of a logit {np.abs(steered - plain).max():.3e}")
    scope.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])

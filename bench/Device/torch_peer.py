"""Times PyTorch's attention for `bench gpu`: a line of JSON on stdin for each request, a line of JSON on stdout for its answer.

{"op": "hello", "device": 0}                        versions
{"op": "prepare", "side": "...", "case": {...}}     makes a side of a case ready and checks it: backend, error, host_microseconds
{"op": "time", "side": "...", "calls": 10}          milliseconds of one call on the device, mean over calls
{"op": "release"}                                   frees the case

An answer with "failure" says why there is none. The case is that of TorchCase.cs. Tensors are random, of the same shapes as on the other side, not the same numbers.
"""

import json
import math
import os
import platform
import sys
import time

# Calls that are put into the stream without a wait; before them the device copies until the host is ahead.
BURST = 128
COPY_BYTES = 256 << 20
SAMPLED_ROWS = 16


class Peer:
    """The process: one case at a time, its sides by name."""

    def __init__(self):
        self.case = None
        self.sides = {}

    def hello(self, request):
        import torch

        if not torch.cuda.is_available():
            raise RuntimeError(f"PyTorch {torch.__version__} sees no CUDA device")
        torch.cuda.set_device(request["device"])
        self.clock = Clock(torch)
        cudnn = torch.backends.cudnn.version()
        return {
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "cudnn": None if cudnn is None else str(cudnn),
            "python": platform.python_version(),
            "device": torch.cuda.get_device_name(request["device"]),
        }

    def prepare(self, request):
        if self.case is None or self.case.name != request["case"]["name"]:
            self.release(request)
            self.case = Case(request["case"])
        tried, best = {}, None
        for backend, make in candidates(self.case, request["side"]):
            # One backend that cannot do it, or has no memory left, leaves the others.
            try:
                run, check = make()
                run(1)
                error = check()
                run(3)
                host = self.clock.host(run)
                milliseconds = self.clock.device(run, 3, host)
            except Exception as e:
                tried[backend] = describe(e)
                self.clock.torch.cuda.empty_cache()
                continue
            tried[backend] = milliseconds
            if best is None or milliseconds < best[0]:
                best = (milliseconds, backend, run, error, host)
        if best is None:
            raise RuntimeError("; ".join(f"{backend}: {why}" for backend, why in tried.items()))
        _, backend, run, error, host = best
        self.sides[request["side"]] = (run, host)
        return {"backend": backend, "error": error, "host_microseconds": host * 1000, "tried": tried}

    def time(self, request):
        run, host = self.sides[request["side"]]
        return {"milliseconds": self.clock.device(run, request["calls"], host)}

    def release(self, request):
        self.case, self.sides = None, {}
        self.clock.torch.cuda.empty_cache()
        return {}


class Clock:
    """Times calls: `run(n)` puts n of them into the stream."""

    def __init__(self, torch):
        self.torch = torch
        self.source = torch.zeros(COPY_BYTES, dtype=torch.uint8, device="cuda")
        self.target = torch.empty_like(self.source)
        self.start, self.end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        self.copy(2)
        self.copy_milliseconds = max(self.between(lambda: self.copy(8)) / 8, 1e-3)

    def copy(self, times):
        for _ in range(times):
            self.target.copy_(self.source)

    def between(self, action):
        self.start.record()
        action()
        self.end.record()
        self.end.synchronize()
        return self.start.elapsed_time(self.end)

    def host(self, run):
        """Milliseconds that the host needs for a call: the median of some."""
        times = []
        for _ in range(16):
            start = time.perf_counter()
            run(1)
            times.append((time.perf_counter() - start) * 1000)
        self.torch.cuda.synchronize()
        return sorted(times)[len(times) // 2]

    def device(self, run, calls, host):
        """Milliseconds of one call on the device."""
        milliseconds = 0.0
        for first in range(0, calls, BURST):
            count = min(BURST, calls - first)
            self.copy(1 + min(math.ceil(1.25 * count * host / self.copy_milliseconds), 256))
            milliseconds += self.between(lambda: run(count))
        return milliseconds / calls


class Case:
    """A case's tensors [B, heads, tokens, D]; those of a prompt are views of [B, tokens, heads, D]."""

    def __init__(self, case):
        import torch

        self.torch = torch
        self.__dict__.update(case)
        self.dtype = getattr(torch, self.type)
        self.scale = 1 / math.sqrt(self.head_size)
        self.group = self.heads // self.kv_heads
        torch.manual_seed(7)
        self.query = self.random(self.heads, self.rows, False)
        self.cached = [(self.random(self.kv_heads, self.keys, self.cache), self.random(self.kv_heads, self.keys, self.cache)) for _ in range(self.caches)]
        self.next = 0
        self.output = None
        # One new row sees all keys: a mask would leave all of them.
        self.masked = self.causal and self.rows > 1
        self.steering = None

    def random(self, heads, tokens, heads_first):
        shape = (self.batch, heads, tokens, self.head_size) if heads_first else (self.batch, tokens, heads, self.head_size)
        tensor = self.torch.randn(shape, dtype=self.dtype, device="cuda")
        return tensor if heads_first else tensor.transpose(1, 2)

    def key_value(self):
        """The next cache."""
        self.next = (self.next + 1) % self.caches
        return self.cached[self.next]

    def steer(self):
        """What steers, made once: it is not part of any time."""
        if self.steering is None:
            self.steering = Steering(self)
        return self.steering

    def check_output(self, steered=False):
        """Largest error of sampled rows against float64, relative to the largest value."""
        torch = self.torch
        rows = [0, self.rows - 1] + torch.randint(0, self.rows, (SAMPLED_ROWS,)).tolist()
        if steered:
            rows += self.spoken[:: max(1, len(self.spoken) // 8)]
        worst, largest = 0.0, 0.0
        for b, h in {(0, 0), (self.batch - 1, self.heads - 1)}:
            key, value = self.cached[self.next]
            logits = self.logits(b, h, rows, key)
            if steered:
                logits = logits + self.steer().added(b, h, rows)
            expected = torch.softmax(logits, -1) @ value[b, h // self.group].double()
            actual = self.output[b, h][rows].double()
            error = (actual - expected).abs().max().item()
            worst, largest = max(worst, error), max(largest, expected.abs().max().item())
        relative = worst / largest
        # Four units of the type: probabilities, outputs and, in some backends, logits are rounded to it.
        allowed = 4 * (2.0**-8 if self.type == "bfloat16" else 2.0**-11)
        if not relative <= allowed:
            raise RuntimeError(f"its result is off by {relative:.1e} of the largest value, expected at most {allowed:.1e}")
        return relative

    def logits(self, b, h, rows, key):
        """[rows, T] of one head in float64, hidden keys at -inf."""
        logits = self.query[b, h][rows].double() @ key[b, h // self.group].double().T * self.scale
        return logits.masked_fill(self.hidden(rows), -math.inf) if self.masked else logits

    def hidden(self, rows):
        torch = self.torch
        return torch.arange(self.keys, device="cuda")[None, :] > torch.tensor(rows, device="cuda")[:, None] + (self.keys - self.rows)


class Steering:
    """What the social bias with alpha = 1 adds to logits: the row's largest logit on boxed keys, on keys that the row is aligned with."""

    def __init__(self, case):
        torch = case.torch
        self.case = case
        # Rows and keys with the same speakers and frames are one class; whether classes are aligned is a small table.
        spoken, boxed = set(case.spoken), set(case.boxed)
        row_class, row_kinds = classes(case, range(case.rows), spoken)
        key_class, key_kinds = classes(case, range(case.keys), boxed)
        table = [[float(are_aligned(r, k)) for k in key_kinds] for r in row_kinds]
        self.row_class, self.key_class = torch.tensor(row_class, device="cuda"), torch.tensor(key_class, device="cuda")
        self.table = torch.tensor(table, dtype=torch.float32, device="cuda")
        self.rows, self.keys = torch.tensor(case.spoken, device="cuda"), torch.tensor(case.boxed, device="cuda")
        self.row_bias = torch.zeros(case.batch, case.heads, case.rows, dtype=torch.float32, device="cuda")
        key = case.cached[0][0]
        hidden = case.hidden(case.spoken)[:, self.keys]
        for b in range(case.batch):
            query = case.query[b][:, self.rows].float().reshape(case.kv_heads, -1, case.head_size)
            logits = (query @ key[b][:, self.keys].float().transpose(1, 2) * case.scale).reshape(case.heads, len(case.spoken), -1)
            if case.masked:
                logits = logits.masked_fill(hidden, -math.inf)
            self.row_bias[b][:, self.rows] = logits.amax(-1)

    def added(self, b, h, rows):
        """[rows, T] in float64."""
        return self.row_bias[b, h][rows][:, None].double() * self.table[self.row_class[rows]][:, self.key_class].double()

    def mask(self):
        """[B, H, S, T] of the tensors' type."""
        case, torch = self.case, self.case.torch
        mask = torch.zeros(case.batch, case.heads, case.rows, case.keys, dtype=case.dtype, device="cuda")
        table = self.table[self.row_class[self.rows]][:, self.key_class]
        for b in range(case.batch):
            for h in range(case.heads):
                mask[b, h, self.rows] = (self.row_bias[b, h, self.rows][:, None] * table).to(case.dtype)
        if case.masked:
            mask.masked_fill_(case.hidden(list(range(case.rows))), -math.inf)
        return mask


def classes(case, tokens, members):
    """Class of each token, and what each class is: (speakers, first frame, end frame); class 0 is nobody."""
    kinds, found = [(0, 0, 0)], {(0, 0, 0): 0}
    result = []
    for t in tokens:
        kind = (case.speakers[t], case.frames[2 * t], case.frames[2 * t + 1]) if t in members else (0, 0, 0)
        if kind not in found:
            found[kind] = len(kinds)
            kinds.append(kind)
        result.append(found[kind])
    return result, kinds


def are_aligned(a, b):
    return (a[0] & b[0]) != 0 and max(a[1], b[1]) < min(a[2], b[2])


def candidates(case, side):
    """Ways to compute a side: (backend, function that returns (run(calls), check()))."""
    flash = ["FLASH_ATTENTION"]
    if side == "torch flash":
        return [named(case, *way) for way in ways(case, flash)]
    if side == "torch cudnn":
        return [named(case, *way) for way in ways(case, ["CUDNN_ATTENTION"])]
    if side == "torch decode":
        return [named(case, *way) for way in ways(case, ["FLASH_ATTENTION", "CUDNN_ATTENTION", "EFFICIENT_ATTENTION", "MATH"])]
    if side == "torch dense":
        return [named(case, *way, dense=True) for way in ways(case, ["EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "MATH"])]
    if side == "torch scores":
        return [(f"{name}, second pass {how}", lambda make=make, how=how: second_pass(case, make, how == "compiled"))
                for name, make in [named(case, *way) for way in ways(case, flash)] for how in ["eager", "compiled"]]
    if side == "torch flex":
        return [("FlexAttention, compiled", lambda: flex(case))]
    raise ValueError(f"no side '{side}'")


def ways(case, backends):
    """Grouped heads as the backend takes them, or keys and values repeated before anything is timed."""
    return [(backend, repeats) for backend in backends for repeats in ([False] if case.group == 1 else [False, True])]


def named(case, backend, repeats, dense=False):
    how = "" if case.group == 1 else ", keys repeated before" if repeats else ", enable_gqa"
    return backend + how, lambda: attention(case, backend, repeats, dense)


def attention(case, backend, repeats, dense):
    """scaled_dot_product_attention with one backend allowed, so that it is that one which computes."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention

    allowed = getattr(SDPBackend, backend)
    options = {"scale": case.scale}
    if case.group > 1 and not repeats:
        options["enable_gqa"] = True
    if dense:
        options["attn_mask"] = case.steer().mask()
    else:
        options["is_causal"] = case.masked
    tensors = case.cached
    if repeats:
        tensors = [tuple(t.repeat_interleave(case.group, 1) for t in pair) for pair in tensors]

    def run(calls):
        with sdpa_kernel(allowed):
            for _ in range(calls):
                case.key_value()
                key, value = tensors[case.next]
                case.output = scaled_dot_product_attention(case.query, key, value, **options)

    return run, lambda: case.check_output(steered=dense)


def second_pass(case, make, compiled):
    """FlashAttention, then the scores of heads from the rows of U: logits, probabilities, their mean on V_all."""
    import torch

    first, check_first = make()
    steering = case.steer()
    rows, key = steering.rows, case.cached[0][0]
    weights = torch.zeros(case.keys, dtype=torch.float32, device="cuda")
    weights[steering.keys] = 1 / (len(case.spoken) * len(case.boxed))
    hidden = case.hidden(case.spoken).repeat(case.group, 1) if case.masked else None
    scores = [None]

    def scores_of(query, key):
        # Heads that share a key head are rows of one product.
        grouped = query[:, :, rows].reshape(case.batch, case.kv_heads, -1, case.head_size)
        logits = grouped @ key.transpose(2, 3) * case.scale
        if hidden is not None:
            logits = logits.masked_fill(hidden, -math.inf)
        sums = torch.softmax(logits, -1, dtype=torch.float32) @ weights
        return sums.reshape(case.batch, case.heads, -1).sum(-1)

    second = torch.compile(scores_of, dynamic=False) if compiled else scores_of

    def run(calls):
        for _ in range(calls):
            first(1)
            scores[0] = second(case.query, key)

    def check():
        check_first()
        exact = torch.softmax(case.logits(0, 0, case.spoken, key), -1)[:, case.boxed].mean().item()
        error = abs(scores[0][0, 0].item() - exact) / exact
        if not error <= 2.0**-5:
            raise RuntimeError(f"its score is off by {error:.1e}")
        return error

    return run, check


def flex(case):
    """FlexAttention: the steering by a score_mod that looks up a row's bias and whether its class and the key's are aligned."""
    import torch
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    steering = case.steer()
    row_bias, table, row_class, key_class = steering.row_bias, steering.table, steering.row_class, steering.key_class

    def score_mod(score, b, h, q, k):
        return score + row_bias[b, h, q] * table[row_class[q], key_class[k]]

    options = {"score_mod": score_mod, "scale": case.scale}
    if case.masked:
        options["block_mask"] = create_block_mask(lambda b, h, q, k: q >= k, None, None, case.rows, case.keys, device="cuda")
    if case.group > 1:
        options["enable_gqa"] = True
    compiled = torch.compile(flex_attention, dynamic=False)
    key, value = case.cached[0]

    def run(calls):
        for _ in range(calls):
            case.output = compiled(case.query, key, value, **options)

    return run, lambda: case.check_output(steered=True)


def describe(error):
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300] if lines else 'no reason given'}"


def main():
    # What libraries print must not get among the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    peer = Peer()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"hello": peer.hello, "prepare": peer.prepare, "time": peer.time, "release": peer.release}[request["op"]](request)
        except Exception as e:
            answer = {"failure": describe(e)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()

"""Steering scopes of libattention_kernels.so from Python: ctypes only, no other package. The functions and their rules are in attention_kernels.h."""

import ctypes
from ctypes import POINTER, Structure, byref, c_char, c_char_p, c_float, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_uint64, sizeof

TEXT, VISUAL, AUDIO, SYSTEM, GENERATED, PADDING = 0, 1, 2, 3, 4, 255
MEASURE, SOCIAL = 0, 1


class Error(Exception):
    """A call that failed: its status (1 argument, 2 handle, 3 thread, 4 state, 5 processor, 6 other) and its text."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class _Roles(Structure):
    _fields_ = [
        ("struct_size", c_size_t), ("batch", c_int32), ("length", c_int32),
        ("modality", POINTER(c_uint8)), ("speakers", POINTER(c_int64)), ("frames", POINTER(c_int32)),
    ]


class _Policy(Structure):
    _fields_ = [
        ("struct_size", c_size_t), ("kind", c_int32), ("alpha", c_float), ("lambda_", c_float), ("clamp_negative", c_int32), ("growing", c_int32),
    ]


class _Layer(Structure):
    _fields_ = [
        ("struct_size", c_size_t), ("layer", c_int32), ("batch", c_int32), ("heads", c_int32), ("calls", c_int32), ("node", c_char * 256),
    ]


class Layer:
    """What one attention node found: scores [batch][heads], alignment [batch][heads][4] (mean before, mean after, max before, max after)."""

    def __init__(self, info, scores, alignment):
        heads = info.heads
        self.layer, self.batch, self.heads, self.calls, self.node = info.layer, info.batch, heads, info.calls, info.node.decode(errors="replace")
        self.scores = [list(scores[b * heads:(b + 1) * heads]) for b in range(info.batch)]
        self.alignment = [[list(alignment[(b * heads + h) * 4:(b * heads + h + 1) * 4]) for h in range(heads)] for b in range(info.batch)]


class Library:
    """The library, which ONNX Runtime may have loaded before or load later: it is the same one."""

    _ARGUMENTS = {
        "create": [POINTER(c_uint64)], "destroy": [c_uint64], "set_roles": [c_uint64, POINTER(_Roles)], "set_query_roles": [c_uint64, POINTER(_Roles)],
        "set_policy": [c_uint64, POINTER(_Policy)], "set_layers": [c_uint64, c_char_p], "set_gate": [c_uint64, c_uint64], "begin": [c_uint64], "end": [c_uint64],
        "layer_count": [c_uint64, POINTER(c_size_t)], "layer": [c_uint64, c_size_t, POINTER(_Layer)],
        "read_scores": [c_uint64, c_size_t, POINTER(c_float), c_size_t], "read_alignment": [c_uint64, c_size_t, POINTER(c_float), c_size_t],
    }

    def __init__(self, path):
        self._library = ctypes.CDLL(path)
        self._library.attention_kernels_version.restype = c_char_p
        self._library.attention_kernels_abi_version.restype = c_uint32
        self._library.attention_kernels_last_error.restype = c_char_p
        for name, arguments in self._ARGUMENTS.items():
            function = self._library[f"attention_kernels_scope_{name}"]
            function.argtypes, function.restype = arguments, c_int32
            setattr(self, f"_{name}", function)
        if self._library.attention_kernels_abi_version() != 1:
            raise RuntimeError(f"{path} has another interface than this file: take the file that came with it")

    @property
    def version(self):
        return self._library.attention_kernels_version().decode()

    def call(self, name, *arguments):
        """Calls attention_kernels_scope_<name>."""
        status = getattr(self, f"_{name}")(*arguments)
        if status != 0:
            raise Error(status, self._library.attention_kernels_last_error().decode(errors="replace"))


class Scope:
    """A steering scope. "with scope:" sets it on this thread; run the session inside, read the layers afterwards. It may be set again and again.

    modality, speakers: one number for each token, or a list of such lists for a batch; frames: (first, end) for each token.
    """

    def __init__(self, library, modality, speakers, frames, *, layers="all", kind=SOCIAL, alpha=1.0, lambda_=5e-5, clamp_negative=False, growing=False):
        self._library = library
        handle = c_uint64()
        library.call("create", byref(handle))
        self.handle = handle.value
        try:
            self._set_roles(modality, speakers, frames)
            library.call("set_policy", self.handle, byref(_Policy(sizeof(_Policy), kind, alpha, lambda_, clamp_negative, growing)))
            library.call("set_layers", self.handle, layers.encode())
        except BaseException:
            self.close()
            raise

    def _set_roles(self, modality, speakers, frames):
        if len(modality) and hasattr(modality[0], "__len__"):
            batch = len(modality)
            modality, speakers, frames = ([x for element in rows for x in element] for rows in (modality, speakers, frames))
        else:
            batch = 1
        count = len(modality)
        if count % batch or len(speakers) != count or len(frames) != count:
            raise ValueError(f"{len(modality)} modalities, {len(speakers)} speakers and {len(frames)} frames, expected one of each for every token")
        roles = _Roles(
            sizeof(_Roles), batch, count // batch, (c_uint8 * count)(*map(int, modality)), (c_int64 * count)(*map(int, speakers)),
            (c_int32 * (2 * count))(*(int(bound) for span in frames for bound in span)))
        self._library.call("set_roles", self.handle, byref(roles))

    def set_gate(self, measured):
        """Lets the scores that another scope found choose the heads; None: each run's own."""
        self._library.call("set_gate", self.handle, measured.handle if measured else 0)

    def __enter__(self):
        self._library.call("begin", self.handle)
        return self

    def __exit__(self, kind, *_):
        try:
            self._library.call("end", self.handle)
        except Error:
            if kind is None:  # else the error that is on its way is the cause
                raise

    def read(self):
        """What each attention node found, ascending in layers."""
        count = c_size_t()
        self._library.call("layer_count", self.handle, byref(count))
        layers = []
        for i in range(count.value):
            info = _Layer(sizeof(_Layer))
            self._library.call("layer", self.handle, i, byref(info))
            heads = info.batch * info.heads
            scores, alignment = (c_float * heads)(), (c_float * (4 * heads))()
            self._library.call("read_scores", self.handle, i, scores, len(scores))
            self._library.call("read_alignment", self.handle, i, alignment, len(alignment))
            layers.append(Layer(info, scores, alignment))
        return layers

    def close(self):
        """Ends the scope's life; further calls do nothing."""
        if self.handle:
            handle, self.handle = self.handle, 0
            self._library.call("destroy", handle)

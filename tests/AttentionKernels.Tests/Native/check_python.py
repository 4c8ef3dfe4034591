"""The Python example's module without ONNX Runtime: check_python.py FOLDER_OF_THE_MODULE LIBRARY"""

import sys
import threading

sys.path.insert(0, sys.argv[1])
import attention_kernels as ak  # noqa: E402

ARGUMENT, HANDLE, THREAD, STATE = 1, 2, 3, 4


def fails(status, words, call, *arguments):
    try:
        call(*arguments)
    except ak.Error as e:
        assert e.status == status and words in str(e), f"{e.status} '{e}', expected {status} '{words}'"
        return
    raise AssertionError(f"no error, expected {status} '{words}'")


library = ak.Library(sys.argv[2])
assert library.version, "no version"
tokens = [ak.VISUAL, ak.TEXT], [1, 1], [(0, 1), (0, 1)]
batch = tuple([values, values] for values in tokens)

scope = ak.Scope(library, *tokens, layers="0-3", alpha=0.5, lambda_=1e-4, growing=True)
other = ak.Scope(library, *batch, kind=ak.MEASURE)
fails(STATE, "found nothing", scope.read)
fails(STATE, "found nothing", scope.set_gate, other)
scope.set_gate(None)

scope.__enter__()
fails(STATE, "already", other.__enter__)
fails(STATE, "end it first", library.call, "set_layers", scope.handle, b"all")
fails(STATE, "no attention node ran", scope.read)
thread = threading.Thread(target=fails, args=(THREAD, "another thread", library.call, "end", scope.handle))
errors = []
threading.excepthook = errors.append
thread.start()
thread.join()
assert not errors, errors
fails(STATE, "no attention node ran", scope.__exit__, None, None, None)
fails(STATE, "not begun", library.call, "end", scope.handle)

# An error of the block itself goes on, and the scope has ended.
try:
    with other:
        raise KeyError("own")
except KeyError:
    pass
scope.__enter__()
handle = scope.handle
scope.close()
scope.close()
fails(HANDLE, "destroyed", library.call, "begin", handle)

fails(ARGUMENT, "3-1", lambda: ak.Scope(library, *tokens, layers="3-1"))
fails(ARGUMENT, "77", lambda: ak.Scope(library, [77], [0], [(0, 0)]))
fails(ARGUMENT, "Alpha", lambda: ak.Scope(library, *tokens, alpha=float("nan")))
try:
    ak.Scope(library, [0], [], [])
    raise AssertionError("lists of different lengths were accepted")
except ValueError:
    pass
other.close()
print("ok")

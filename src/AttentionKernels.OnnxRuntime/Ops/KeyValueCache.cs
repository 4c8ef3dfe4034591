using System.Runtime.InteropServices;
using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>
/// Brings query, keys and values of a call into the form that the engine reads, and writes present: past and new rows one behind the other,
/// rows rotated or moved by a projection bias. What needs none of this is read where it lies. Dispose after the call.
/// </summary>
/// <remarks>
/// A decode step whose past and present are one buffer writes its new rows and touches nothing else. Work is shared out by (element, head)
/// for keys and values, and by blocks of rows for the query.
/// </remarks>
internal unsafe ref struct KeyValueCache
{
    private const int QueryRowsPerTask = 16;

    // Bytes. Waking ONNX Runtime's threads costs some 5 microseconds, in which one of them copies about this much.
    private const long WorthAThread = 64 << 10;

    private ScratchBuffer _joined;
    private ScratchBuffer _query;

    /// <summary>What stands before the new rows.</summary>
    public PastTokens Past { get; init; }

    /// <summary>Keys of the call, and where new ones go.</summary>
    public required SequenceLengths Lengths { get; init; }

    /// <summary>[B] valid keys after this call; null: all of them.</summary>
    public int* Valid { get; init; }

    /// <summary>Positions of the outputs present_key and present_value; negative: the operator has none.</summary>
    public int PresentKeyOutput { get; init; } = -1;

    /// <inheritdoc cref="PresentKeyOutput"/>
    public int PresentValueOutput { get; init; } = -1;

    public RowTransform Query { get; init; }

    public RowTransform Key { get; init; }

    public RowTransform Value { get; init; }

    public KeyValueCache()
    {
    }

    /// <summary>Replaces query, key and value of the problem, which are the new rows, by what the engine shall read.</summary>
    public void Prepare(in KernelContext context, ref AttentionProblem problem)
    {
        ElementType type = problem.Key.Type;
        int room = Math.Max(Past.Rows, Lengths.Keys);
        Work work = new()
        {
            Problem = problem,
            Lengths = Lengths,
            Valid = Valid,
            Query = Query,
            Key = new Cache { Added = problem.Key, Past = Past.Key, Transform = Key, Size = problem.HeadSize },
            Value = new Cache { Added = problem.Value, Past = Past.Value, Transform = Value, Size = problem.ValueHeadSize },
            PastRows = Past.Rows,
            Room = room,
        };

        bool values = !problem.Value.IsEmpty;
        work.Key.Present = PresentKeyOutput < 0 ? null : context.Output(PresentKeyOutput, problem.Batch, problem.KvHeads, room, problem.HeadSize);
        work.Value.Present = PresentValueOutput < 0 ? null : context.Output(PresentValueOutput, problem.Batch, problem.KvHeads, room, problem.ValueHeadSize);
        bool ownKey = work.Key.Present == null && NeedsCopy(Key), ownValue = values && work.Value.Present == null && NeedsCopy(Value);
        long rows = (long)problem.Batch * problem.KvHeads * room, keyElements = ownKey ? rows * problem.HeadSize : 0;
        _joined = context.Scratch(checked(keyElements + (ownValue ? rows * problem.ValueHeadSize : 0)), type.Size());
        work.Key.Present = ownKey ? _joined.Data : work.Key.Present;
        work.Value.Present = ownValue ? (byte*)_joined.Data + (keyElements * type.Size()) : work.Value.Present;

        long queryElements = Query.IsIdentity ? 0 : checked((long)problem.Batch * problem.Heads * problem.QueryLength * problem.HeadSize);
        _query = context.Scratch(queryElements, sizeof(float));
        work.Moved = Query.IsIdentity ? default
            : TensorView.Bshd(_query.Data, ElementType.Float32, problem.Heads, problem.QueryLength, problem.HeadSize);
        work.Run(context, queryElements);

        problem.Query = Query.IsIdentity ? problem.Query : work.Moved;
        problem.Key = Read(work.Key, Past.Key, problem.KvHeads, room, problem.HeadSize, problem.Key);
        problem.Value = !values ? default : Read(work.Value, Past.Value, problem.KvHeads, room, problem.ValueHeadSize, problem.Value);
    }

    public void Dispose()
    {
        _joined.Dispose();
        _query.Dispose();
    }

    /// <summary>Whether keys or values cannot be read where they lie. Without new rows the past is all there is.</summary>
    private readonly bool NeedsCopy(in RowTransform transform) => Lengths.NewKeys > 0 && (Past.IsGiven || !transform.IsIdentity);

    private readonly TensorView Read(in Cache cache, void* past, int heads, int room, int size, in TensorView added)
    {
        void* joined = cache.Present != null ? cache.Present : Lengths.NewKeys == 0 ? past : null;
        return joined == null ? added : TensorView.Bhsd(joined, added.Type, heads, room, size);
    }

    /// <summary>Keys or values on their way into present.</summary>
    private struct Cache
    {
        /// <summary>New rows, [B, KvHeads, new, Size] by strides.</summary>
        public TensorView Added;

        /// <summary>[B, KvHeads, PastRows, Size]; null: none.</summary>
        public void* Past;

        /// <summary>Receives [B, KvHeads, Room, Size]; null: not wanted. May be the same memory as <see cref="Past"/>.</summary>
        public void* Present;

        public RowTransform Transform;

        public int Size;
    }

    /// <summary>The copying, as worker threads see it. Lives on the caller's stack.</summary>
    private struct Work
    {
        public AttentionProblem Problem;
        public SequenceLengths Lengths;
        public int* Valid;
        public RowTransform Query;
        public Cache Key;
        public Cache Value;
        public TensorView Moved;
        public int PastRows;
        public int Room;

        private readonly int CacheTasks => Problem.Batch * Problem.KvHeads;

        private readonly int QueryBlocks => (Problem.QueryLength + QueryRowsPerTask - 1) / QueryRowsPerTask;

        private readonly int LargestHead => Math.Max(Problem.HeadSize, Problem.ValueHeadSize);

        public void Run(in KernelContext context, long queryElements)
        {
            long tasks = (2L * CacheTasks) + (queryElements == 0 ? 0 : (long)Problem.Batch * QueryBlocks);
            long bytes = (queryElements * sizeof(float)) + BytesOf(Key) + BytesOf(Value);
            if (bytes == 0)
            {
                return;
            }
            nuint workerBytes = 2 * (nuint)LargestHead * sizeof(float); // a row, and working memory of its transformation
            fixed (Work* state = &this)
            {
                OrtWorkers workers = new(context);
                bool alone = bytes < WorthAThread;
                using ScratchBuffer memory = context.Scratch((alone ? 1 : workers.Degree) * (long)workerBytes, 1);
                if (alone)
                {
                    TaskLoop.Run(&RunTask, state, tasks, (byte*)memory.Data, workerBytes, default(InlineWorkers));
                }
                else
                {
                    TaskLoop.Run(&RunTask, state, tasks, (byte*)memory.Data, workerBytes, workers);
                }
            }
        }

        private static void RunTask(void* state, int task, byte* memory)
        {
            Work* work = (Work*)state;
            float* row = (float*)memory, rest = row + work->LargestHead;
            int caches = work->CacheTasks;
            if (task < caches)
            {
                work->Append(work->Key, task, row, rest);
            }
            else if (task < 2 * caches)
            {
                work->Append(work->Value, task - caches, row, rest);
            }
            else
            {
                work->MoveQuery(task - (2 * caches), row, rest);
            }
        }

        /// <summary>Bytes to write, about.</summary>
        private readonly long BytesOf(in Cache cache) => cache.Present == null ? 0
            : (long)CacheTasks * (cache.Past == cache.Present ? Lengths.NewKeys : Room) * cache.Size * cache.Added.Type.Size();

        /// <summary>Copies one head's past rows, then new rows behind them, and clears the rest.</summary>
        private readonly void Append(in Cache cache, int task, float* row, float* memory)
        {
            if (cache.Present == null)
            {
                return;
            }
            int b = task / Problem.KvHeads, h = task % Problem.KvHeads;
            int first = Lengths.FirstNewKey(Valid == null ? Lengths.Keys : Valid[b]);
            long rowBytes = (long)cache.Size * cache.Added.Type.Size();
            byte* target = (byte*)cache.Present + (task * Room * rowBytes);
            if (cache.Past != cache.Present)
            {
                Buffer.MemoryCopy((byte*)cache.Past + (task * PastRows * rowBytes), target, first * rowBytes, first * rowBytes);
                NativeMemory.Clear(target + ((first + Lengths.NewKeys) * rowBytes), (nuint)((Room - first - Lengths.NewKeys) * rowBytes));
            }
            target += first * rowBytes;
            for (int s = 0; s < Lengths.NewKeys; s++, target += rowBytes)
            {
                if (cache.Transform.IsIdentity)
                {
                    Buffer.MemoryCopy(cache.Added.Row(b, h, s), target, rowBytes, rowBytes);
                }
                else
                {
                    cache.Transform.Apply(cache.Added, b, h, s, first, cache.Size, row, memory);
                    ElementRows.Narrow(cache.Added.Type, row, target, cache.Size);
                }
            }
        }

        private readonly void MoveQuery(int task, float* row, float* memory)
        {
            int b = task / QueryBlocks, first = task % QueryBlocks * QueryRowsPerTask, end = Math.Min(first + QueryRowsPerTask, Problem.QueryLength);
            for (int s = first; s < end; s++)
            {
                for (int h = 0; h < Problem.Heads; h++)
                {
                    Query.Apply(Problem.Query, b, h, s, Problem.OffsetOf(b), Problem.HeadSize, Moved.Float(b, h, s), memory);
                }
            }
        }
    }
}

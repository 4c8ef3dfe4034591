using AttentionKernels.Cpu;

namespace AttentionKernels.Tests.Cpu;

public sealed unsafe class SeenSegmentsTests
{
    /// <summary>Triangles, edges of windows, groups that see nothing, and anything else.</summary>
    [Fact]
    public void Every_Seen_Key_Of_Every_Group_Is_In_One_Segment()
    {
        Random random = new(1);
        for (int repeat = 0; repeat < 2000; repeat++)
        {
            int groups = random.Next(1, 17), keys = random.Next(1, 65), shape = random.Next(3);
            ulong all = ulong.MaxValue >> (64 - keys);
            ulong[] seen = [.. Enumerable.Range(0, groups).Select(g => all & (shape switch
            {
                0 => ulong.MaxValue >> Math.Max(0, 63 - (g * 4)),
                1 => ulong.MaxValue << random.Next(64) & ulong.MaxValue >> random.Next(64),
                _ => (ulong)random.NextInt64(),
            }))];
            ulong[] covered = new ulong[groups];
            fixed (ulong* p = seen)
            {
                SeenSegments part = new(p, groups, keys);
                while (part.Next())
                {
                    Assert.InRange(part.Keys, 1, keys - part.First);
                    Assert.InRange(part.Groups, 1, groups - part.Group);
                    ulong bits = ulong.MaxValue >> (64 - part.Keys) << part.First;
                    for (int group = part.Group; group < part.Group + part.Groups; group++)
                    {
                        Assert.Equal(0ul, covered[group] & bits);
                        covered[group] |= bits;
                    }
                }
            }
            Assert.Equal(seen, covered);
        }
    }
}

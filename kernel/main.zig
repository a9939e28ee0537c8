test {
    _ = @import("heap.zig");
    _ = @import("row.zig");
    _ = @import("key.zig");
    _ = @import("tree.zig");
}

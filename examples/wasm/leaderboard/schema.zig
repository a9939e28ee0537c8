//! The tables of schema.sql. Generated, not to be edited:
//!
//!     reifydb generate zig --schema schema.sql -o schema.zig

const reifydb = @import("reifydb");

pub const Score = struct {
    game: []const u8,
    player: []const u8,
    points: i64,
    plays: i64,
};

pub const score = reifydb.Table("score", Score, .{ "game", "player" });

pub const relations = .{score};

//! A leaderboard: the best result of each player in each game. Who leads is not computed here: views.sql says it,
//! and the database keeps it up to date.

const reifydb = @import("reifydb");
const score = @import("schema.zig").score;

/// Why a transition refuses: the abort's code, and its name as message.
const Refusal = enum(i32) {
    negative_points = 1,
    never_played = 2,
};

fn refuse(why: Refusal) error{Aborted} {
    return reifydb.abort(@backingInt(why), @tagName(why));
}

/// Notes a result; the player's best one so far.
fn report(game: []const u8, player: []const u8, points: i64) !i64 {
    if (points < 0) return refuse(.negative_points);
    var row = try score.get(.{ game, player }) orelse {
        try score.insert(.{ .game = game, .player = player, .points = points, .plays = 1 });
        return points;
    };
    row.points = @max(row.points, points);
    row.plays = try reifydb.add(row.plays, 1);
    try score.update(row);
    return row.points;
}

/// Takes a player's result in a game away, as if they had never played it.
fn withdraw(game: []const u8, player: []const u8) !void {
    if (!try score.delete(.{ game, player })) return refuse(.never_played);
}

pub const panic = reifydb.panic;

pub const module = reifydb.module(.{
    .name = "leaderboard",
    .schema = @embedFile("schema.sql"),
    .relations = .{score},
    .transitions = .{
        .report = reifydb.transition(report, .{ "game", "player", "points" }),
        .withdraw = reifydb.transition(withdraw, .{ "game", "player" }),
    },
});

comptime {
    module.emit();
}

-- The best three of a game: a view for each game that has a board.
create view chess_board as
    select player, points from score where game = 'chess' order by points desc, player limit 3;
create view go_board as
    select player, points from score where game = 'go' order by points desc, player limit 3;

-- Every game at a glance.
create view game as
    select game, count(*) as players, sum(plays) as plays, max(points) as best
    from score group by game;

-- Who plays everything well.
create view all_rounder as
    select player, count(*) as games, sum(points) as points
    from score group by player having count(*) > 1;

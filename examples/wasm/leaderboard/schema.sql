create table score (
    game text,
    player text,
    points int not null check (points >= 0),
    plays int not null,
    primary key (game, player)
);

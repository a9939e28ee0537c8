create table every_type (
    a text not null,
    b int not null,
    flag bool not null,
    n int not null,
    x float not null,
    t text not null,
    d bytes not null,
    at timestamp not null,
    flag_null bool,
    n_null int,
    x_null float,
    t_null text,
    d_null bytes,
    at_null timestamp,
    primary key (a, b)
);

create table note (
    id int auto_increment primary key,
    body text not null,
    mark int
);

create table pair (
    low int,
    high timestamp,
    value float not null,
    primary key (low, high)
);

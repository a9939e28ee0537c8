create table every_type (
    a text not null,
    b int not null,
    flag bool not null,
    n int not null,
    x float not null,
    t text not null,
    d bytes not null,
    at timestamp not null,
    price decimal(10,2) not null,
    u uuid not null,
    j json not null,
    flag_null bool,
    n_null int,
    x_null float,
    t_null text,
    d_null bytes,
    at_null timestamp,
    price_null decimal(10,2),
    u_null uuid,
    j_null json,
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

create table item (
    id int primary key,
    colour text,
    size int not null,
    price decimal(10,2),
    code uuid,
    tags json
);

create index item_by_colour on item (colour, size);
create unique index item_by_code on item (code);
create index item_by_price on item (price);

create table account (id int primary key, owner text not null, balance int not null);

create table everything (
    id int primary key,
    b bool,
    f float,
    t text,
    d bytes,
    at timestamp,
    price decimal(10,2),
    u uuid,
    j json,
    big int
);

create table line (order_id int not null, position int not null, note text, primary key (order_id, position));

create index line_by_note on line (note, order_id);

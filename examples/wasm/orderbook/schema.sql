create table limit_order (
    id int primary key auto_increment,
    trader text not null,
    buy bool not null,
    price decimal(18,4) not null,
    quantity int not null
);
create index limit_order_by_price on limit_order (buy, price);

create table trade (
    id int primary key auto_increment,
    maker int not null,
    taker int not null,
    buyer text not null,
    seller text not null,
    price decimal(18,4) not null,
    quantity int not null,
    at timestamp not null
);

-- How much is bid or asked at each price.
create view level as
    select buy, price, sum(quantity) as quantity, count(*) as orders
    from limit_order group by buy, price;

-- The best of each side.
create view best_bid as
    select price, quantity, orders from level where buy order by price desc limit 1;
create view best_ask as
    select price, quantity, orders from level where not buy order by price limit 1;

-- The five best prices of each side, for who draws the book.
create view bids as
    select price, quantity, orders from level where buy order by price desc limit 5;
create view asks as
    select price, quantity, orders from level where not buy order by price limit 5;

-- Who bids as much as somebody asks would have traded.
create assertion book_is_not_crossed as
    select b.price as bid, a.price as ask from best_bid b join best_ask a on a.price <= b.price;

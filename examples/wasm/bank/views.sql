-- Branches, and which account is kept at which.
create table branch (name text primary key);
create table kept_at (
    account int primary key references account on delete cascade,
    branch text not null references branch
);

-- What each branch holds, and what is kept nowhere.
create view branch_total as
    select branch, count(*) as accounts, sum(balance) as money
    from kept_at join account on id = account group by branch;
create view unplaced as
    select id, owner, balance from account left join kept_at on account = id where branch is null;

-- From now on money only moves: nobody makes any, nobody loses any.
create assertion money_is_constant as
    select sum(balance) as money from account having sum(balance) <> 600;

create table account (id int primary key, owner text not null, balance int not null);

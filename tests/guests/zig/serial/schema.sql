create table cell (id int primary key, n int not null);
create table entry (id int primary key auto_increment, n int not null);

-- Looks through what stood before there were rounds, while everybody goes on writing.

ALTER TABLE orders VALIDATE CONSTRAINT orders_round_check;
ALTER TABLE reservation VALIDATE CONSTRAINT reservation_round_check;

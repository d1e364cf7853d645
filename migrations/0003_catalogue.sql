-- The catalogue. A product's stock is a row of its own: selling disturbs no edit.

CREATE TABLE product (
    product_id          uuid PRIMARY KEY,
    seller_id           uuid NOT NULL,
    sku                 text NOT NULL CHECK (char_length(sku) BETWEEN 1 AND 64),
    name                text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    description         text NOT NULL CHECK (char_length(description) <= 20000),
    price_minor         bigint NOT NULL CHECK (price_minor >= 0),
    currency            text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status              text NOT NULL CHECK (status IN ('draft', 'active', 'archived')),
    attributes          jsonb NOT NULL CHECK (jsonb_typeof(attributes) = 'object'),
    low_stock_threshold integer CHECK (low_stock_threshold >= 0),
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    version             bigint NOT NULL CHECK (version >= 1),
    -- The SKU counts twice: as the words in it, and as a whole.
    search              tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('simple', name), 'A')
        || setweight(to_tsvector('simple', sku), 'A')
        || setweight(array_to_tsvector(ARRAY[lower(sku)]), 'A')
        || setweight(to_tsvector('simple', description), 'B')
    ) STORED
);

-- A seller's SKU names one product that is not archived.
CREATE UNIQUE INDEX product_seller_sku ON product (seller_id, sku) WHERE status <> 'archived';
CREATE INDEX product_search ON product USING gin (search);

-- One index for each order of the list, and sellers' own.
CREATE INDEX product_by_age ON product (created_at, product_id);
CREATE INDEX product_by_price ON product (price_minor, product_id);
CREATE INDEX product_by_name ON product (name, product_id);
CREATE INDEX product_of_seller ON product (seller_id, created_at, product_id);

-- What a search looks for: all its words, the last of which may be the beginning of one unless it is
-- one that must not occur; or, if the search is a single word, an SKU that begins with it.
CREATE FUNCTION product_query(p_words text) RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    v_words tsquery := websearch_to_tsquery('simple', p_words);
    v_whole text := lower(btrim(p_words));
BEGIN
    -- As text, a query ends in its last word, quoted, or in the bracket of a phrase that must not occur.
    IF v_words::text ~ '''$' AND v_words::text !~ '!''([^'']|'''')*''$' THEN
        v_words := (v_words::text || ':*')::tsquery;
    END IF;
    IF v_whole ~ '^[[:graph:]]{1,64}$' THEN
        v_words := v_words
            || ('''' || replace(replace(v_whole, '\', '\\'), '''', '''''') || ''':*')::tsquery;
    END IF;
    RETURN v_words;
END $$;

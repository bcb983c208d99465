/* sync 1 */
WITH source AS (
  SELECT
    MAX(CASE WHEN "name" = 'ltv' THEN "value" END) AS k0,
    MAX(CASE WHEN "name" = 'lifetime_value' THEN "value" END) AS k1,
    MAX(CASE WHEN "name" = 'purchase_count' THEN "value" END) AS k2,
    MAX(CASE WHEN "name" = 'order_count' THEN "value" END) AS k3,
    MAX(CASE WHEN "name" = 'churn_risk' THEN "value" END) AS k4,
    MAX(CASE WHEN "name" = 'churn_probability' THEN "value" END) AS k5,
    MAX(CASE WHEN "name" = 'industry' THEN "value" END) AS k6,
    MAX(CASE WHEN "name" = 'plan' THEN "value" END) AS k7,
    "canonical_segment_id" AS "id"
  FROM segment.user_traits
  WHERE
    NOT "canonical_segment_id" IS NULL
  GROUP BY
    "canonical_segment_id"
), step1 AS (
  SELECT
    *,
    CASE
      WHEN LENGTH(k0) > 300
      THEN NULL
      WHEN (
        (
          k0 ~ '^([+-]?[0-9]+[.]?[0-9]*)$'
        ) AND LENGTH(k0) <= 300
      )
      OR (
        TRIM(' \t\n\r\013\f' FROM k0) ~ '^([+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?0*[0-9]?[0-9]?)?)$'
      )
      THEN CAST(TRIM(' \t\n\r\013\f' FROM k0) AS DOUBLE PRECISION)
    END AS p0_0_0,
    CASE
      WHEN LENGTH(k1) > 300
      THEN NULL
      WHEN (
        (
          k1 ~ '^([+-]?[0-9]+[.]?[0-9]*)$'
        ) AND LENGTH(k1) <= 300
      )
      OR (
        TRIM(' \t\n\r\013\f' FROM k1) ~ '^([+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?0*[0-9]?[0-9]?)?)$'
      )
      THEN CAST(TRIM(' \t\n\r\013\f' FROM k1) AS DOUBLE PRECISION)
    END AS p0_1_0,
    CASE
      WHEN LENGTH(k2) > 300
      THEN NULL
      WHEN (
        (
          k2 ~ '^([+-]?[0-9]+[.]?[0-9]*)$'
        ) AND LENGTH(k2) <= 300
      )
      OR (
        TRIM(' \t\n\r\013\f' FROM k2) ~ '^([+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?0*[0-9]?[0-9]?)?)$'
      )
      THEN CAST(TRIM(' \t\n\r\013\f' FROM k2) AS DOUBLE PRECISION)
    END AS p1_0_0,
    CASE
      WHEN LENGTH(k3) > 300
      THEN NULL
      WHEN (
        (
          k3 ~ '^([+-]?[0-9]+[.]?[0-9]*)$'
        ) AND LENGTH(k3) <= 300
      )
      OR (
        TRIM(' \t\n\r\013\f' FROM k3) ~ '^([+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?0*[0-9]?[0-9]?)?)$'
      )
      THEN CAST(TRIM(' \t\n\r\013\f' FROM k3) AS DOUBLE PRECISION)
    END AS p1_1_0,
    CASE
      WHEN LENGTH(k4) > 300
      THEN NULL
      WHEN (
        (
          k4 ~ '^([+-]?[0-9]+[.]?[0-9]*)$'
        ) AND LENGTH(k4) <= 300
      )
      OR (
        TRIM(' \t\n\r\013\f' FROM k4) ~ '^([+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?0*[0-9]?[0-9]?)?)$'
      )
      THEN CAST(TRIM(' \t\n\r\013\f' FROM k4) AS DOUBLE PRECISION)
    END AS p2_0_0,
    CASE
      WHEN LENGTH(k5) > 300
      THEN NULL
      WHEN (
        (
          k5 ~ '^([+-]?[0-9]+[.]?[0-9]*)$'
        ) AND LENGTH(k5) <= 300
      )
      OR (
        TRIM(' \t\n\r\013\f' FROM k5) ~ '^([+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?0*[0-9]?[0-9]?)?)$'
      )
      THEN CAST(TRIM(' \t\n\r\013\f' FROM k5) AS DOUBLE PRECISION)
    END AS p2_1_0
  FROM source
), traits AS (
  SELECT
    *,
    COALESCE(
      CASE
        WHEN p0_0_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE PRECISION)
        ) AND CAST(1000000000000000.0 AS DOUBLE PRECISION)
        THEN p0_0_0
      END,
      CASE
        WHEN p0_1_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE PRECISION)
        ) AND CAST(1000000000000000.0 AS DOUBLE PRECISION)
        THEN p0_1_0
      END
    ) AS v0,
    CASE
      WHEN CASE
        WHEN p0_0_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE PRECISION)
        ) AND CAST(1000000000000000.0 AS DOUBLE PRECISION)
        THEN p0_0_0
      END IS NULL
      AND (
        NOT k0 IS NULL AND k0 <> ''
      )
      THEN 't' || SUBSTRING(k0 FROM 1 FOR 61)
      WHEN CASE
        WHEN p0_0_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE PRECISION)
        ) AND CAST(1000000000000000.0 AS DOUBLE PRECISION)
        THEN p0_0_0
      END IS NULL
      AND CASE
        WHEN p0_1_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE PRECISION)
        ) AND CAST(1000000000000000.0 AS DOUBLE PRECISION)
        THEN p0_1_0
      END IS NULL
      AND (
        NOT k1 IS NULL AND k1 <> ''
      )
      THEN 't' || SUBSTRING(k1 FROM 1 FOR 61)
    END AS w0,
    COALESCE(
      CASE
        WHEN p1_0_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE PRECISION)
        ) AND CAST(1000000000000000.0 AS DOUBLE PRECISION)
        THEN p1_0_0
      END,
      CASE
        WHEN p1_1_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE PRECISION)
        ) AND CAST(1000000000000000.0 AS DOUBLE PRECISION)
        THEN p1_1_0
      END
    ) AS v1,
    CASE
      WHEN CASE
        WHEN p1_0_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE PRECISION)
        ) AND CAST(1000000000000000.0 AS DOUBLE PRECISION)
        THEN p1_0_0
      END IS NULL
      AND (
        NOT k2 IS NULL AND k2 <> ''
      )
      THEN 't' || SUBSTRING(k2 FROM 1 FOR 61)
      WHEN CASE
        WHEN p1_0_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE PRECISION)
        ) AND CAST(1000000000000000.0 AS DOUBLE PRECISION)
        THEN p1_0_0
      END IS NULL
      AND CASE
        WHEN p1_1_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE PRECISION)
        ) AND CAST(1000000000000000.0 AS DOUBLE PRECISION)
        THEN p1_1_0
      END IS NULL
      AND (
        NOT k3 IS NULL AND k3 <> ''
      )
      THEN 't' || SUBSTRING(k3 FROM 1 FOR 61)
    END AS w1,
    COALESCE(
      CASE
        WHEN p2_0_0 BETWEEN CAST(0.0 AS DOUBLE PRECISION) AND CAST(1.0 AS DOUBLE PRECISION)
        THEN p2_0_0
      END,
      CASE
        WHEN p2_1_0 BETWEEN CAST(0.0 AS DOUBLE PRECISION) AND CAST(1.0 AS DOUBLE PRECISION)
        THEN p2_1_0
      END
    ) AS v2,
    CASE
      WHEN CASE
        WHEN p2_0_0 BETWEEN CAST(0.0 AS DOUBLE PRECISION) AND CAST(1.0 AS DOUBLE PRECISION)
        THEN p2_0_0
      END IS NULL
      AND (
        NOT k4 IS NULL AND k4 <> ''
      )
      THEN 't' || SUBSTRING(k4 FROM 1 FOR 61)
      WHEN CASE
        WHEN p2_0_0 BETWEEN CAST(0.0 AS DOUBLE PRECISION) AND CAST(1.0 AS DOUBLE PRECISION)
        THEN p2_0_0
      END IS NULL
      AND CASE
        WHEN p2_1_0 BETWEEN CAST(0.0 AS DOUBLE PRECISION) AND CAST(1.0 AS DOUBLE PRECISION)
        THEN p2_1_0
      END IS NULL
      AND (
        NOT k5 IS NULL AND k5 <> ''
      )
      THEN 't' || SUBSTRING(k5 FROM 1 FOR 61)
    END AS w2
  FROM step1
), profiles AS (
  SELECT
    CASE
      WHEN v0 IS NULL AND v1 IS NULL AND v2 IS NULL
      THEN 0
      WHEN (
        (
          COALESCE(v0, CAST(0.0 AS DOUBLE PRECISION)) > CAST(500.0 AS DOUBLE PRECISION)
        )
        AND (
          COALESCE(v2, CAST(0.5 AS DOUBLE PRECISION)) < CAST(0.15 AS DOUBLE PRECISION)
        )
      )
      THEN 1
      WHEN (
        (
          COALESCE(v0, CAST(0.0 AS DOUBLE PRECISION)) > CAST(100.0 AS DOUBLE PRECISION)
        )
        AND (
          COALESCE(v1, CAST(0.0 AS DOUBLE PRECISION)) >= CAST(2.0 AS DOUBLE PRECISION)
        )
      )
      THEN 2
      WHEN (
        COALESCE(v2, CAST(0.5 AS DOUBLE PRECISION)) > CAST(0.4 AS DOUBLE PRECISION)
      )
      THEN 3
      ELSE 4
    END AS state,
    CASE
      WHEN v0 = CAST(0 AS DOUBLE PRECISION)
      THEN 0
      ELSE (
        CASE WHEN v0 < CAST(0 AS DOUBLE PRECISION) THEN 32768 ELSE 0 END + CAST(FLOOR(
          CASE
            WHEN ABS(v0) < CAST(1.1754943508222875e-38 AS DOUBLE PRECISION)
            THEN ROUND(ABS(v0) * CAST(7.1362384635298e+44 AS DOUBLE PRECISION))
            ELSE ROUND(
              ABS(v0) * POWER(
                CAST(2 AS DOUBLE PRECISION),
                CAST(23 AS DOUBLE PRECISION) - (
                  FLOOR(CAST(LN(ABS(v0)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION))) - CASE
                    WHEN ABS(v0) < POWER(
                      CAST(2 AS DOUBLE PRECISION),
                      FLOOR(CAST(LN(ABS(v0)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION)))
                    )
                    THEN CAST(1 AS DOUBLE PRECISION)
                    ELSE CAST(0 AS DOUBLE PRECISION)
                  END + CASE
                    WHEN ABS(v0) >= POWER(
                      CAST(2 AS DOUBLE PRECISION),
                      FLOOR(CAST(LN(ABS(v0)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION))) + CAST(1 AS DOUBLE PRECISION)
                    )
                    THEN CAST(1 AS DOUBLE PRECISION)
                    ELSE CAST(0 AS DOUBLE PRECISION)
                  END
                )
              )
            ) + (
              (
                FLOOR(CAST(LN(ABS(v0)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION))) - CASE
                  WHEN ABS(v0) < POWER(
                    CAST(2 AS DOUBLE PRECISION),
                    FLOOR(CAST(LN(ABS(v0)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION)))
                  )
                  THEN CAST(1 AS DOUBLE PRECISION)
                  ELSE CAST(0 AS DOUBLE PRECISION)
                END + CASE
                  WHEN ABS(v0) >= POWER(
                    CAST(2 AS DOUBLE PRECISION),
                    FLOOR(CAST(LN(ABS(v0)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION))) + CAST(1 AS DOUBLE PRECISION)
                  )
                  THEN CAST(1 AS DOUBLE PRECISION)
                  ELSE CAST(0 AS DOUBLE PRECISION)
                END
              ) + CAST(126 AS DOUBLE PRECISION)
            ) * CAST(8388608 AS DOUBLE PRECISION)
          END / CAST(65536 AS DOUBLE PRECISION)
        ) AS INTEGER)
      )
    END AS b0,
    CASE
      WHEN v1 = CAST(0 AS DOUBLE PRECISION)
      THEN 0
      ELSE (
        CASE WHEN v1 < CAST(0 AS DOUBLE PRECISION) THEN 32768 ELSE 0 END + CAST(FLOOR(
          CASE
            WHEN ABS(v1) < CAST(1.1754943508222875e-38 AS DOUBLE PRECISION)
            THEN ROUND(ABS(v1) * CAST(7.1362384635298e+44 AS DOUBLE PRECISION))
            ELSE ROUND(
              ABS(v1) * POWER(
                CAST(2 AS DOUBLE PRECISION),
                CAST(23 AS DOUBLE PRECISION) - (
                  FLOOR(CAST(LN(ABS(v1)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION))) - CASE
                    WHEN ABS(v1) < POWER(
                      CAST(2 AS DOUBLE PRECISION),
                      FLOOR(CAST(LN(ABS(v1)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION)))
                    )
                    THEN CAST(1 AS DOUBLE PRECISION)
                    ELSE CAST(0 AS DOUBLE PRECISION)
                  END + CASE
                    WHEN ABS(v1) >= POWER(
                      CAST(2 AS DOUBLE PRECISION),
                      FLOOR(CAST(LN(ABS(v1)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION))) + CAST(1 AS DOUBLE PRECISION)
                    )
                    THEN CAST(1 AS DOUBLE PRECISION)
                    ELSE CAST(0 AS DOUBLE PRECISION)
                  END
                )
              )
            ) + (
              (
                FLOOR(CAST(LN(ABS(v1)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION))) - CASE
                  WHEN ABS(v1) < POWER(
                    CAST(2 AS DOUBLE PRECISION),
                    FLOOR(CAST(LN(ABS(v1)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION)))
                  )
                  THEN CAST(1 AS DOUBLE PRECISION)
                  ELSE CAST(0 AS DOUBLE PRECISION)
                END + CASE
                  WHEN ABS(v1) >= POWER(
                    CAST(2 AS DOUBLE PRECISION),
                    FLOOR(CAST(LN(ABS(v1)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION))) + CAST(1 AS DOUBLE PRECISION)
                  )
                  THEN CAST(1 AS DOUBLE PRECISION)
                  ELSE CAST(0 AS DOUBLE PRECISION)
                END
              ) + CAST(126 AS DOUBLE PRECISION)
            ) * CAST(8388608 AS DOUBLE PRECISION)
          END / CAST(65536 AS DOUBLE PRECISION)
        ) AS INTEGER)
      )
    END AS b1,
    CASE
      WHEN v2 = CAST(0 AS DOUBLE PRECISION)
      THEN 0
      ELSE (
        CASE WHEN v2 < CAST(0 AS DOUBLE PRECISION) THEN 32768 ELSE 0 END + CAST(FLOOR(
          CASE
            WHEN ABS(v2) < CAST(1.1754943508222875e-38 AS DOUBLE PRECISION)
            THEN ROUND(ABS(v2) * CAST(7.1362384635298e+44 AS DOUBLE PRECISION))
            ELSE ROUND(
              ABS(v2) * POWER(
                CAST(2 AS DOUBLE PRECISION),
                CAST(23 AS DOUBLE PRECISION) - (
                  FLOOR(CAST(LN(ABS(v2)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION))) - CASE
                    WHEN ABS(v2) < POWER(
                      CAST(2 AS DOUBLE PRECISION),
                      FLOOR(CAST(LN(ABS(v2)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION)))
                    )
                    THEN CAST(1 AS DOUBLE PRECISION)
                    ELSE CAST(0 AS DOUBLE PRECISION)
                  END + CASE
                    WHEN ABS(v2) >= POWER(
                      CAST(2 AS DOUBLE PRECISION),
                      FLOOR(CAST(LN(ABS(v2)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION))) + CAST(1 AS DOUBLE PRECISION)
                    )
                    THEN CAST(1 AS DOUBLE PRECISION)
                    ELSE CAST(0 AS DOUBLE PRECISION)
                  END
                )
              )
            ) + (
              (
                FLOOR(CAST(LN(ABS(v2)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION))) - CASE
                  WHEN ABS(v2) < POWER(
                    CAST(2 AS DOUBLE PRECISION),
                    FLOOR(CAST(LN(ABS(v2)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION)))
                  )
                  THEN CAST(1 AS DOUBLE PRECISION)
                  ELSE CAST(0 AS DOUBLE PRECISION)
                END + CASE
                  WHEN ABS(v2) >= POWER(
                    CAST(2 AS DOUBLE PRECISION),
                    FLOOR(CAST(LN(ABS(v2)) AS DOUBLE PRECISION) / LN(CAST(2 AS DOUBLE PRECISION))) + CAST(1 AS DOUBLE PRECISION)
                  )
                  THEN CAST(1 AS DOUBLE PRECISION)
                  ELSE CAST(0 AS DOUBLE PRECISION)
                END
              ) + CAST(126 AS DOUBLE PRECISION)
            ) * CAST(8388608 AS DOUBLE PRECISION)
          END / CAST(65536 AS DOUBLE PRECISION)
        ) AS INTEGER)
      )
    END AS b2,
    v0,
    w0,
    v1,
    w1,
    v2,
    w2,
    k6,
    k7
  FROM traits
), values0 AS (
  SELECT
    state,
    b0 AS bucket,
    COUNT(*) AS n,
    SUM(CAST(v0 * CAST(1024.0 AS DOUBLE PRECISION) AS DECIMAL(38, 0))) AS whole,
    SUM(
      CAST((
        v0 - CAST(CAST(v0 * CAST(1024.0 AS DOUBLE PRECISION) AS DECIMAL(38, 0)) AS DOUBLE PRECISION) / CAST(1024.0 AS DOUBLE PRECISION)
      ) * CAST(4.611686018427388e+18 AS DOUBLE PRECISION) AS DECIMAL(38, 0))
    ) AS fine,
    SUM(
      (
        (
          v0 - CAST(CAST(v0 * CAST(1024.0 AS DOUBLE PRECISION) AS DECIMAL(38, 0)) AS DOUBLE PRECISION) / CAST(1024.0 AS DOUBLE PRECISION)
        ) - CAST(CAST((
          v0 - CAST(CAST(v0 * CAST(1024.0 AS DOUBLE PRECISION) AS DECIMAL(38, 0)) AS DOUBLE PRECISION) / CAST(1024.0 AS DOUBLE PRECISION)
        ) * CAST(4.611686018427388e+18 AS DOUBLE PRECISION) AS DECIMAL(38, 0)) AS DOUBLE PRECISION) / CAST(4.611686018427388e+18 AS DOUBLE PRECISION)
      )
    ) AS rest,
    VAR_POP(v0) AS variance
  FROM profiles
  WHERE
    state BETWEEN 1 AND 4 AND NOT v0 IS NULL
  GROUP BY
    state,
    b0
), values1 AS (
  SELECT
    state,
    b1 AS bucket,
    COUNT(*) AS n,
    SUM(CAST(v1 * CAST(1024.0 AS DOUBLE PRECISION) AS DECIMAL(38, 0))) AS whole,
    SUM(
      CAST((
        v1 - CAST(CAST(v1 * CAST(1024.0 AS DOUBLE PRECISION) AS DECIMAL(38, 0)) AS DOUBLE PRECISION) / CAST(1024.0 AS DOUBLE PRECISION)
      ) * CAST(4.611686018427388e+18 AS DOUBLE PRECISION) AS DECIMAL(38, 0))
    ) AS fine,
    SUM(
      (
        (
          v1 - CAST(CAST(v1 * CAST(1024.0 AS DOUBLE PRECISION) AS DECIMAL(38, 0)) AS DOUBLE PRECISION) / CAST(1024.0 AS DOUBLE PRECISION)
        ) - CAST(CAST((
          v1 - CAST(CAST(v1 * CAST(1024.0 AS DOUBLE PRECISION) AS DECIMAL(38, 0)) AS DOUBLE PRECISION) / CAST(1024.0 AS DOUBLE PRECISION)
        ) * CAST(4.611686018427388e+18 AS DOUBLE PRECISION) AS DECIMAL(38, 0)) AS DOUBLE PRECISION) / CAST(4.611686018427388e+18 AS DOUBLE PRECISION)
      )
    ) AS rest,
    VAR_POP(v1) AS variance
  FROM profiles
  WHERE
    state BETWEEN 1 AND 4 AND NOT v1 IS NULL
  GROUP BY
    state,
    b1
), values2 AS (
  SELECT
    state,
    b2 AS bucket,
    COUNT(*) AS n,
    SUM(CAST(0 AS DECIMAL(38, 0))) AS whole,
    SUM(CAST(v2 * CAST(4.611686018427388e+18 AS DOUBLE PRECISION) AS DECIMAL(38, 0))) AS fine,
    SUM(
      (
        v2 - CAST(CAST(v2 * CAST(4.611686018427388e+18 AS DOUBLE PRECISION) AS DECIMAL(38, 0)) AS DOUBLE PRECISION) / CAST(4.611686018427388e+18 AS DOUBLE PRECISION)
      )
    ) AS rest,
    VAR_POP(v2) AS variance
  FROM profiles
  WHERE
    state BETWEEN 1 AND 4 AND NOT v2 IS NULL
  GROUP BY
    state,
    b2
), texts3 AS (
  SELECT
    state,
    k6,
    COUNT(*) AS n
  FROM profiles
  WHERE
    state <= 4
  GROUP BY
    state,
    k6
), read3 AS (
  SELECT
    *,
    CASE
      WHEN CAST(k6 AS VARCHAR(MAX)) IS NULL
      THEN NULL
      WHEN FALSE
      THEN TRIM(REGEXP_REPLACE(CAST(k6 AS VARCHAR(MAX)), '[[:space:]]+', ' '))
      WHEN TRIM(REGEXP_REPLACE(CAST(k6 AS VARCHAR(MAX)), '[[:space:]]+', ' ')) = ''
      OR (
        LENGTH(TRIM(REGEXP_REPLACE(CAST(k6 AS VARCHAR(MAX)), '[[:space:]]+', ' '))) <= 20
        AND REPLACE(
          REPLACE(
            REGEXP_REPLACE(
              LOWER(TRIM(REGEXP_REPLACE(CAST(k6 AS VARCHAR(MAX)), '[[:space:]]+', ' '))),
              ' */ *',
              '/'
            ),
            '_',
            ' '
          ),
          '-',
          ' '
        ) ~ '^(#?(\\\\n|n\\.a|n\\.a\\.|n/a|n/a\\.|n/d|nan|nat|nil|no data|no value|none|not applicable|not available|not defined|not known|not provided|not set|not specified|notset|null|undefined|unknown|unspecified)|[-._/? ]+|(\\(|\\[|<|\\{|\\"|\'|`)+ *(\\\\n|blank|empty|missing|n\\.a|n\\.a\\.|n/a|n/a\\.|n/d|na|nan|nat|nil|no data|no value|none|not applicable|not available|not defined|not known|not provided|not set|not specified|notset|null|undefined|unknown|unspecified|[-._/? ]+)? *(\\)|\\]|>|\\}|\\"|\'|`)+)$'
      )
      THEN NULL
      WHEN LENGTH(TRIM(REGEXP_REPLACE(CAST(k6 AS VARCHAR(MAX)), '[[:space:]]+', ' '))) > 80
      THEN ''
      WHEN TRIM(REGEXP_REPLACE(CAST(k6 AS VARCHAR(MAX)), '[[:space:]]+', ' ')) ~ '^([A-Za-z]+(([\'_/-]| ?& ?|, | [/-] | )[A-Za-z]+)*|[A-Za-z]+([ -][A-Za-z]+)*(-[0-9]{1,2}| [0-9]{1,4})|[A-Za-z]{1,9}[0-9]{1,2}( [0-9]{1,4})?|[0-9]{1,6}[+]?|[0-9]{1,3}[.][0-9]{1,2}|[0-9]{1,3} ?%|[<>~$]? ?([1-9][0-9]{0,2}(,[0-9]{3})*,000|[1-9][0-9]{0,2}(,[0-9]{3})?) ?[+]?|[$]?(0|[1-9][0-9]{0,2}) ?[-] ?[$]?[1-9][0-9]{0,2}|[$]?([1-9][0-9][01] ?[-] ?[$]?[1-9],?[0-9]{2}[09])|[$]?(1,?[0-9]{2}[01] ?[-] ?[$]?[2-9],?[0-9]{2}[09]|2,?[0-9]{2}[01] ?[-] ?[$]?[3-9],?[0-9]{2}[09]|3,?[0-9]{2}[01] ?[-] ?[$]?[4-9],?[0-9]{2}[09]|4,?[0-9]{2}[01] ?[-] ?[$]?[5-9],?[0-9]{2}[09]|5,?[0-9]{2}[01] ?[-] ?[$]?[6-9],?[0-9]{2}[09]|6,?[0-9]{2}[01] ?[-] ?[$]?[7-9],?[0-9]{2}[09]|7,?[0-9]{2}[01] ?[-] ?[$]?[8-9],?[0-9]{2}[09]|8,?[0-9]{2}[01] ?[-] ?[$]?9,?[0-9]{2}[09])|[$]?([1-9],?[0-9]{2}[01] ?[-] ?[$]?[1-9][0-9],?[0-9]{2}[09])|[$]?(1[0-9],?[0-9]{2}[01] ?[-] ?[$]?[2-9][0-9],?[0-9]{2}[09]|2[0-9],?[0-9]{2}[01] ?[-] ?[$]?[3-9][0-9],?[0-9]{2}[09]|3[0-9],?[0-9]{2}[01] ?[-] ?[$]?[4-9][0-9],?[0-9]{2}[09]|4[0-9],?[0-9]{2}[01] ?[-] ?[$]?[5-9][0-9],?[0-9]{2}[09]|5[0-9],?[0-9]{2}[01] ?[-] ?[$]?[6-9][0-9],?[0-9]{2}[09]|6[0-9],?[0-9]{2}[01] ?[-] ?[$]?[7-9][0-9],?[0-9]{2}[09]|7[0-9],?[0-9]{2}[01] ?[-] ?[$]?[8-9][0-9],?[0-9]{2}[09]|8[0-9],?[0-9]{2}[01] ?[-] ?[$]?9[0-9],?[0-9]{2}[09])|[$]?([1-9][0-9],?[0-9]{2}[01] ?[-] ?[$]?[1-9][0-9]{2},?[0-9]{2}[09]))$'
      THEN TRIM(REGEXP_REPLACE(CAST(k6 AS VARCHAR(MAX)), '[[:space:]]+', ' '))
      ELSE ''
    END AS p3_0_0
  FROM texts3
), words3 AS (
  SELECT
    state,
    NULLIF(p3_0_0, '') AS value,
    CASE
      WHEN NULLIF(p3_0_0, '') IS NULL
      AND (
        CASE COALESCE(LENGTH(p3_0_0), -1) WHEN -1 THEN 1 WHEN 0 THEN 2 ELSE 0 END = 2
      )
      THEN 't' || SUBSTRING(k6 FROM 1 FOR 61)
    END AS wrong,
    n
  FROM read3
), texts4 AS (
  SELECT
    state,
    k7,
    COUNT(*) AS n
  FROM profiles
  WHERE
    state <= 4
  GROUP BY
    state,
    k7
), read4 AS (
  SELECT
    *,
    CASE
      WHEN CAST(k7 AS VARCHAR(MAX)) IS NULL
      THEN NULL
      WHEN FALSE
      THEN TRIM(REGEXP_REPLACE(CAST(k7 AS VARCHAR(MAX)), '[[:space:]]+', ' '))
      WHEN TRIM(REGEXP_REPLACE(CAST(k7 AS VARCHAR(MAX)), '[[:space:]]+', ' ')) = ''
      OR (
        LENGTH(TRIM(REGEXP_REPLACE(CAST(k7 AS VARCHAR(MAX)), '[[:space:]]+', ' '))) <= 20
        AND REPLACE(
          REPLACE(
            REGEXP_REPLACE(
              LOWER(TRIM(REGEXP_REPLACE(CAST(k7 AS VARCHAR(MAX)), '[[:space:]]+', ' '))),
              ' */ *',
              '/'
            ),
            '_',
            ' '
          ),
          '-',
          ' '
        ) ~ '^(#?(\\\\n|n\\.a|n\\.a\\.|n/a|n/a\\.|n/d|nan|nat|nil|no data|no value|none|not applicable|not available|not defined|not known|not provided|not set|not specified|notset|null|undefined|unknown|unspecified)|[-._/? ]+|(\\(|\\[|<|\\{|\\"|\'|`)+ *(\\\\n|blank|empty|missing|n\\.a|n\\.a\\.|n/a|n/a\\.|n/d|na|nan|nat|nil|no data|no value|none|not applicable|not available|not defined|not known|not provided|not set|not specified|notset|null|undefined|unknown|unspecified|[-._/? ]+)? *(\\)|\\]|>|\\}|\\"|\'|`)+)$'
      )
      THEN NULL
      WHEN LENGTH(TRIM(REGEXP_REPLACE(CAST(k7 AS VARCHAR(MAX)), '[[:space:]]+', ' '))) > 80
      THEN ''
      WHEN TRIM(REGEXP_REPLACE(CAST(k7 AS VARCHAR(MAX)), '[[:space:]]+', ' ')) ~ '^([A-Za-z]+(([\'_/-]| ?& ?|, | [/-] | )[A-Za-z]+)*|[A-Za-z]+([ -][A-Za-z]+)*(-[0-9]{1,2}| [0-9]{1,4})|[A-Za-z]{1,9}[0-9]{1,2}( [0-9]{1,4})?|[0-9]{1,6}[+]?|[0-9]{1,3}[.][0-9]{1,2}|[0-9]{1,3} ?%|[<>~$]? ?([1-9][0-9]{0,2}(,[0-9]{3})*,000|[1-9][0-9]{0,2}(,[0-9]{3})?) ?[+]?|[$]?(0|[1-9][0-9]{0,2}) ?[-] ?[$]?[1-9][0-9]{0,2}|[$]?([1-9][0-9][01] ?[-] ?[$]?[1-9],?[0-9]{2}[09])|[$]?(1,?[0-9]{2}[01] ?[-] ?[$]?[2-9],?[0-9]{2}[09]|2,?[0-9]{2}[01] ?[-] ?[$]?[3-9],?[0-9]{2}[09]|3,?[0-9]{2}[01] ?[-] ?[$]?[4-9],?[0-9]{2}[09]|4,?[0-9]{2}[01] ?[-] ?[$]?[5-9],?[0-9]{2}[09]|5,?[0-9]{2}[01] ?[-] ?[$]?[6-9],?[0-9]{2}[09]|6,?[0-9]{2}[01] ?[-] ?[$]?[7-9],?[0-9]{2}[09]|7,?[0-9]{2}[01] ?[-] ?[$]?[8-9],?[0-9]{2}[09]|8,?[0-9]{2}[01] ?[-] ?[$]?9,?[0-9]{2}[09])|[$]?([1-9],?[0-9]{2}[01] ?[-] ?[$]?[1-9][0-9],?[0-9]{2}[09])|[$]?(1[0-9],?[0-9]{2}[01] ?[-] ?[$]?[2-9][0-9],?[0-9]{2}[09]|2[0-9],?[0-9]{2}[01] ?[-] ?[$]?[3-9][0-9],?[0-9]{2}[09]|3[0-9],?[0-9]{2}[01] ?[-] ?[$]?[4-9][0-9],?[0-9]{2}[09]|4[0-9],?[0-9]{2}[01] ?[-] ?[$]?[5-9][0-9],?[0-9]{2}[09]|5[0-9],?[0-9]{2}[01] ?[-] ?[$]?[6-9][0-9],?[0-9]{2}[09]|6[0-9],?[0-9]{2}[01] ?[-] ?[$]?[7-9][0-9],?[0-9]{2}[09]|7[0-9],?[0-9]{2}[01] ?[-] ?[$]?[8-9][0-9],?[0-9]{2}[09]|8[0-9],?[0-9]{2}[01] ?[-] ?[$]?9[0-9],?[0-9]{2}[09])|[$]?([1-9][0-9],?[0-9]{2}[01] ?[-] ?[$]?[1-9][0-9]{2},?[0-9]{2}[09]))$'
      THEN TRIM(REGEXP_REPLACE(CAST(k7 AS VARCHAR(MAX)), '[[:space:]]+', ' '))
      ELSE ''
    END AS p4_0_0
  FROM texts4
), words4 AS (
  SELECT
    state,
    NULLIF(p4_0_0, '') AS value,
    CASE
      WHEN NULLIF(p4_0_0, '') IS NULL
      AND (
        CASE COALESCE(LENGTH(p4_0_0), -1) WHEN -1 THEN 1 WHEN 0 THEN 2 ELSE 0 END = 2
      )
      THEN 't' || SUBSTRING(k7 FROM 1 FOR 61)
    END AS wrong,
    n
  FROM read4
), wrong AS (
  SELECT
    w0,
    w1,
    w2,
    COUNT(*) AS n
  FROM profiles
  WHERE
    state <= 4 AND (
      NOT w0 IS NULL OR NOT w1 IS NULL OR NOT w2 IS NULL
    )
  GROUP BY
    w0,
    w1,
    w2
), errors AS (
  SELECT
    CAST(0 AS INTEGER) AS trait,
    w0 AS wrong,
    CAST(SUM(n) AS BIGINT) AS n
  FROM wrong
  WHERE
    NOT w0 IS NULL
  GROUP BY
    w0
  UNION ALL
  SELECT
    CAST(1 AS INTEGER) AS trait,
    w1 AS wrong,
    CAST(SUM(n) AS BIGINT) AS n
  FROM wrong
  WHERE
    NOT w1 IS NULL
  GROUP BY
    w1
  UNION ALL
  SELECT
    CAST(2 AS INTEGER) AS trait,
    w2 AS wrong,
    CAST(SUM(n) AS BIGINT) AS n
  FROM wrong
  WHERE
    NOT w2 IS NULL
  GROUP BY
    w2
  UNION ALL
  SELECT
    CAST(3 AS INTEGER) AS trait,
    wrong AS wrong,
    CAST(SUM(n) AS BIGINT) AS n
  FROM words3
  WHERE
    NOT wrong IS NULL
  GROUP BY
    wrong
  UNION ALL
  SELECT
    CAST(4 AS INTEGER) AS trait,
    wrong AS wrong,
    CAST(SUM(n) AS BIGINT) AS n
  FROM words4
  WHERE
    NOT wrong IS NULL
  GROUP BY
    wrong
), shapes AS (
  SELECT
    trait,
    SUBSTRING(wrong FROM 1 FOR 1) AS kind,
    SUBSTRING(wrong FROM 2) AS content,
    (
      '"' || CASE
        WHEN LENGTH(
          REGEXP_REPLACE(
            REGEXP_REPLACE(
              REGEXP_REPLACE(
                REGEXP_REPLACE(
                  REGEXP_REPLACE(
                    REGEXP_REPLACE(
                      REGEXP_REPLACE(
                        TRANSLATE(
                          SUBSTRING(CAST(SUBSTRING(wrong FROM 2) AS VARCHAR(MAX)) FROM 1 FOR 60),
                          'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"',
                          'aaaaaaaaaaaaaaaaaaaaaaaaaaAAAAAAAAAAAAAAAAAAAAAAAAAA9999999999\''
                        ),
                        '[[:space:]]',
                        ' '
                      ),
                      '[^ -~]',
                      '*'
                    ),
                    '[a]{5,}',
                    'aaaa…'
                  ),
                  '[A]{5,}',
                  'AAAA…'
                ),
                '[9]{5,}',
                '9999…'
              ),
              '[ ]{5,}',
              '    …'
            ),
            '[*]{5,}',
            '****…'
          )
        ) <= 32
        AND LENGTH(CAST(SUBSTRING(wrong FROM 2) AS VARCHAR(MAX))) <= 60
        THEN REGEXP_REPLACE(
          REGEXP_REPLACE(
            REGEXP_REPLACE(
              REGEXP_REPLACE(
                REGEXP_REPLACE(
                  REGEXP_REPLACE(
                    REGEXP_REPLACE(
                      TRANSLATE(
                        SUBSTRING(CAST(SUBSTRING(wrong FROM 2) AS VARCHAR(MAX)) FROM 1 FOR 60),
                        'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"',
                        'aaaaaaaaaaaaaaaaaaaaaaaaaaAAAAAAAAAAAAAAAAAAAAAAAAAA9999999999\''
                      ),
                      '[[:space:]]',
                      ' '
                    ),
                    '[^ -~]',
                    '*'
                  ),
                  '[a]{5,}',
                  'aaaa…'
                ),
                '[A]{5,}',
                'AAAA…'
              ),
              '[9]{5,}',
              '9999…'
            ),
            '[ ]{5,}',
            '    …'
          ),
          '[*]{5,}',
          '****…'
        )
        ELSE SUBSTRING(REGEXP_REPLACE(
          REGEXP_REPLACE(
            REGEXP_REPLACE(
              REGEXP_REPLACE(
                REGEXP_REPLACE(
                  REGEXP_REPLACE(
                    REGEXP_REPLACE(
                      TRANSLATE(
                        SUBSTRING(CAST(SUBSTRING(wrong FROM 2) AS VARCHAR(MAX)) FROM 1 FOR 60),
                        'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"',
                        'aaaaaaaaaaaaaaaaaaaaaaaaaaAAAAAAAAAAAAAAAAAAAAAAAAAA9999999999\''
                      ),
                      '[[:space:]]',
                      ' '
                    ),
                    '[^ -~]',
                    '*'
                  ),
                  '[a]{5,}',
                  'aaaa…'
                ),
                '[A]{5,}',
                'AAAA…'
              ),
              '[9]{5,}',
              '9999…'
            ),
            '[ ]{5,}',
            '    …'
          ),
          '[*]{5,}',
          '****…'
        ) FROM 1 FOR 31) || '…'
      END || '"'
    ) AS shape,
    n
  FROM errors
)
SELECT
  state,
  CAST(NULL AS INTEGER) AS trait,
  CAST(NULL AS INTEGER) AS bucket,
  CAST(NULL AS VARCHAR(MAX)) AS words,
  COUNT(*) AS n,
  CAST(NULL AS DECIMAL(38, 0)) AS whole,
  CAST(NULL AS DECIMAL(38, 0)) AS fine,
  CAST(NULL AS DOUBLE PRECISION) AS rest,
  CAST(NULL AS DOUBLE PRECISION) AS squares
FROM profiles
GROUP BY
  state
UNION ALL
SELECT
  state,
  0 AS trait,
  bucket,
  NULL AS words,
  n,
  NULL AS whole,
  NULL AS fine,
  NULL AS rest,
  NULL AS squares
FROM values0
UNION ALL
SELECT
  state,
  0 AS trait,
  NULL AS bucket,
  NULL AS words,
  CAST(SUM(n) AS BIGINT) AS n,
  CAST(SUM(whole) AS DECIMAL(38, 0)) AS whole,
  CAST(SUM(fine) AS DECIMAL(38, 0)) AS fine,
  SUM(rest) AS rest,
  SUM(
    n * variance + CASE
      WHEN ABS(CAST(total AS DOUBLE PRECISION) / n - mean) > CAST(1e-150 AS DOUBLE PRECISION)
      THEN n * POWER(CAST(total AS DOUBLE PRECISION) / n - mean, 2)
      ELSE CAST(0 AS DOUBLE PRECISION)
    END
  ) AS squares
FROM (
  SELECT
    state,
    n,
    whole,
    fine,
    rest,
    variance,
    total,
    CAST(SUM(total) OVER (PARTITION BY state) AS DOUBLE PRECISION) / SUM(n) OVER (PARTITION BY state) AS mean
  FROM (
    SELECT
      state,
      n,
      whole,
      fine,
      rest,
      variance,
      CASE
        WHEN ABS(total) > CAST(1e-200 AS DOUBLE PRECISION)
        THEN total
        ELSE CAST(0 AS DOUBLE PRECISION)
      END AS total
    FROM (
      SELECT
        state,
        n,
        whole,
        fine,
        rest,
        variance,
        CAST(whole AS DOUBLE PRECISION) / CAST(1024.0 AS DOUBLE PRECISION) + (
          CAST(fine AS DOUBLE PRECISION) / CAST(4.611686018427388e+18 AS DOUBLE PRECISION) + rest
        ) AS total
      FROM values0
    ) AS bucket_sums
  ) AS sums
) AS deviations
GROUP BY
  state
UNION ALL
SELECT
  state,
  1 AS trait,
  bucket,
  NULL AS words,
  n,
  NULL AS whole,
  NULL AS fine,
  NULL AS rest,
  NULL AS squares
FROM values1
UNION ALL
SELECT
  state,
  1 AS trait,
  NULL AS bucket,
  NULL AS words,
  CAST(SUM(n) AS BIGINT) AS n,
  CAST(SUM(whole) AS DECIMAL(38, 0)) AS whole,
  CAST(SUM(fine) AS DECIMAL(38, 0)) AS fine,
  SUM(rest) AS rest,
  SUM(
    n * variance + CASE
      WHEN ABS(CAST(total AS DOUBLE PRECISION) / n - mean) > CAST(1e-150 AS DOUBLE PRECISION)
      THEN n * POWER(CAST(total AS DOUBLE PRECISION) / n - mean, 2)
      ELSE CAST(0 AS DOUBLE PRECISION)
    END
  ) AS squares
FROM (
  SELECT
    state,
    n,
    whole,
    fine,
    rest,
    variance,
    total,
    CAST(SUM(total) OVER (PARTITION BY state) AS DOUBLE PRECISION) / SUM(n) OVER (PARTITION BY state) AS mean
  FROM (
    SELECT
      state,
      n,
      whole,
      fine,
      rest,
      variance,
      CASE
        WHEN ABS(total) > CAST(1e-200 AS DOUBLE PRECISION)
        THEN total
        ELSE CAST(0 AS DOUBLE PRECISION)
      END AS total
    FROM (
      SELECT
        state,
        n,
        whole,
        fine,
        rest,
        variance,
        CAST(whole AS DOUBLE PRECISION) / CAST(1024.0 AS DOUBLE PRECISION) + (
          CAST(fine AS DOUBLE PRECISION) / CAST(4.611686018427388e+18 AS DOUBLE PRECISION) + rest
        ) AS total
      FROM values1
    ) AS bucket_sums
  ) AS sums
) AS deviations
GROUP BY
  state
UNION ALL
SELECT
  state,
  2 AS trait,
  bucket,
  NULL AS words,
  n,
  NULL AS whole,
  NULL AS fine,
  NULL AS rest,
  NULL AS squares
FROM values2
UNION ALL
SELECT
  state,
  2 AS trait,
  NULL AS bucket,
  NULL AS words,
  CAST(SUM(n) AS BIGINT) AS n,
  CAST(SUM(whole) AS DECIMAL(38, 0)) AS whole,
  CAST(SUM(fine) AS DECIMAL(38, 0)) AS fine,
  SUM(rest) AS rest,
  SUM(
    n * variance + CASE
      WHEN ABS(CAST(total AS DOUBLE PRECISION) / n - mean) > CAST(1e-150 AS DOUBLE PRECISION)
      THEN n * POWER(CAST(total AS DOUBLE PRECISION) / n - mean, 2)
      ELSE CAST(0 AS DOUBLE PRECISION)
    END
  ) AS squares
FROM (
  SELECT
    state,
    n,
    whole,
    fine,
    rest,
    variance,
    total,
    CAST(SUM(total) OVER (PARTITION BY state) AS DOUBLE PRECISION) / SUM(n) OVER (PARTITION BY state) AS mean
  FROM (
    SELECT
      state,
      n,
      whole,
      fine,
      rest,
      variance,
      CASE
        WHEN ABS(total) > CAST(1e-200 AS DOUBLE PRECISION)
        THEN total
        ELSE CAST(0 AS DOUBLE PRECISION)
      END AS total
    FROM (
      SELECT
        state,
        n,
        whole,
        fine,
        rest,
        variance,
        CAST(whole AS DOUBLE PRECISION) / CAST(1024.0 AS DOUBLE PRECISION) + (
          CAST(fine AS DOUBLE PRECISION) / CAST(4.611686018427388e+18 AS DOUBLE PRECISION) + rest
        ) AS total
      FROM values2
    ) AS bucket_sums
  ) AS sums
) AS deviations
GROUP BY
  state
UNION ALL
SELECT
  state,
  3 AS trait,
  NULL AS bucket,
  CASE WHEN n >= 3 AND place <= 512 THEN words END AS words,
  CAST(SUM(n) AS BIGINT) AS n,
  NULL AS whole,
  NULL AS fine,
  NULL AS rest,
  NULL AS squares
FROM (
  SELECT
    state,
    words,
    n,
    ROW_NUMBER() OVER (PARTITION BY state ORDER BY n DESC NULLS LAST, words) AS place
  FROM (
    SELECT
      state,
      words,
      SUM(n) AS n
    FROM (
      SELECT
        state,
        value AS words,
        n
      FROM words3
      WHERE
        state >= 1 AND NOT value IS NULL
    ) AS counted
    GROUP BY
      state,
      words
  ) AS grouped
) AS ranked
GROUP BY
  state,
  CASE WHEN n >= 3 AND place <= 512 THEN words END
UNION ALL
SELECT
  state,
  4 AS trait,
  NULL AS bucket,
  CASE WHEN n >= 3 AND place <= 512 THEN words END AS words,
  CAST(SUM(n) AS BIGINT) AS n,
  NULL AS whole,
  NULL AS fine,
  NULL AS rest,
  NULL AS squares
FROM (
  SELECT
    state,
    words,
    n,
    ROW_NUMBER() OVER (PARTITION BY state ORDER BY n DESC NULLS LAST, words) AS place
  FROM (
    SELECT
      state,
      words,
      SUM(n) AS n
    FROM (
      SELECT
        state,
        value AS words,
        n
      FROM words4
      WHERE
        state >= 1 AND NOT value IS NULL
    ) AS counted
    GROUP BY
      state,
      words
  ) AS grouped
) AS ranked
GROUP BY
  state,
  CASE WHEN n >= 3 AND place <= 512 THEN words END
UNION ALL
SELECT
  NULL AS state,
  trait,
  NULL AS bucket,
  CASE WHEN n >= 3 AND place <= 512 THEN shape END AS words,
  CAST(SUM(n) AS BIGINT) AS n,
  NULL AS whole,
  NULL AS fine,
  NULL AS rest,
  NULL AS squares
FROM (
  SELECT
    trait,
    shape,
    n,
    ROW_NUMBER() OVER (PARTITION BY trait ORDER BY n DESC NULLS LAST, shape) AS place
  FROM (
    SELECT
      trait,
      CASE
        WHEN kind = 't'
        THEN shape
        WHEN kind = 'n'
        THEN SUBSTRING(shape FROM 2 FOR LENGTH(shape) - 2)
        ELSE content
      END AS shape,
      SUM(n) AS n
    FROM shapes
    GROUP BY
      1,
      2
  ) AS grouped
) AS ranked
GROUP BY
  trait,
  CASE WHEN n >= 3 AND place <= 512 THEN shape END

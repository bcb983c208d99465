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
          REGEXP_LIKE(k0, '^([+-]?[0-9]+[.]?[0-9]*)$')
        ) AND LENGTH(k0) <= 300
      )
      OR (
        REGEXP_LIKE(
          TRIM(k0, ' \t\n\r\x0b\f'),
          '^([+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?0*[0-9]?[0-9]?)?)$'
        )
      )
      THEN CAST(TRIM(k0, ' \t\n\r\x0b\f') AS DOUBLE)
    END AS p0_0_0,
    CASE
      WHEN LENGTH(k1) > 300
      THEN NULL
      WHEN (
        (
          REGEXP_LIKE(k1, '^([+-]?[0-9]+[.]?[0-9]*)$')
        ) AND LENGTH(k1) <= 300
      )
      OR (
        REGEXP_LIKE(
          TRIM(k1, ' \t\n\r\x0b\f'),
          '^([+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?0*[0-9]?[0-9]?)?)$'
        )
      )
      THEN CAST(TRIM(k1, ' \t\n\r\x0b\f') AS DOUBLE)
    END AS p0_1_0,
    CASE
      WHEN LENGTH(k2) > 300
      THEN NULL
      WHEN (
        (
          REGEXP_LIKE(k2, '^([+-]?[0-9]+[.]?[0-9]*)$')
        ) AND LENGTH(k2) <= 300
      )
      OR (
        REGEXP_LIKE(
          TRIM(k2, ' \t\n\r\x0b\f'),
          '^([+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?0*[0-9]?[0-9]?)?)$'
        )
      )
      THEN CAST(TRIM(k2, ' \t\n\r\x0b\f') AS DOUBLE)
    END AS p1_0_0,
    CASE
      WHEN LENGTH(k3) > 300
      THEN NULL
      WHEN (
        (
          REGEXP_LIKE(k3, '^([+-]?[0-9]+[.]?[0-9]*)$')
        ) AND LENGTH(k3) <= 300
      )
      OR (
        REGEXP_LIKE(
          TRIM(k3, ' \t\n\r\x0b\f'),
          '^([+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?0*[0-9]?[0-9]?)?)$'
        )
      )
      THEN CAST(TRIM(k3, ' \t\n\r\x0b\f') AS DOUBLE)
    END AS p1_1_0,
    CASE
      WHEN LENGTH(k4) > 300
      THEN NULL
      WHEN (
        (
          REGEXP_LIKE(k4, '^([+-]?[0-9]+[.]?[0-9]*)$')
        ) AND LENGTH(k4) <= 300
      )
      OR (
        REGEXP_LIKE(
          TRIM(k4, ' \t\n\r\x0b\f'),
          '^([+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?0*[0-9]?[0-9]?)?)$'
        )
      )
      THEN CAST(TRIM(k4, ' \t\n\r\x0b\f') AS DOUBLE)
    END AS p2_0_0,
    CASE
      WHEN LENGTH(k5) > 300
      THEN NULL
      WHEN (
        (
          REGEXP_LIKE(k5, '^([+-]?[0-9]+[.]?[0-9]*)$')
        ) AND LENGTH(k5) <= 300
      )
      OR (
        REGEXP_LIKE(
          TRIM(k5, ' \t\n\r\x0b\f'),
          '^([+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?0*[0-9]?[0-9]?)?)$'
        )
      )
      THEN CAST(TRIM(k5, ' \t\n\r\x0b\f') AS DOUBLE)
    END AS p2_1_0
  FROM source
), traits AS (
  SELECT
    *,
    COALESCE(
      CASE
        WHEN p0_0_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE)
        ) AND CAST(1000000000000000.0 AS DOUBLE)
        THEN p0_0_0
      END,
      CASE
        WHEN p0_1_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE)
        ) AND CAST(1000000000000000.0 AS DOUBLE)
        THEN p0_1_0
      END
    ) AS v0,
    CASE
      WHEN CASE
        WHEN p0_0_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE)
        ) AND CAST(1000000000000000.0 AS DOUBLE)
        THEN p0_0_0
      END IS NULL
      AND (
        NOT k0 IS NULL AND k0 <> ''
      )
      THEN CONCAT('t', COALESCE(SUBSTRING(k0, 1, 61), ''))
      WHEN CASE
        WHEN p0_0_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE)
        ) AND CAST(1000000000000000.0 AS DOUBLE)
        THEN p0_0_0
      END IS NULL
      AND CASE
        WHEN p0_1_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE)
        ) AND CAST(1000000000000000.0 AS DOUBLE)
        THEN p0_1_0
      END IS NULL
      AND (
        NOT k1 IS NULL AND k1 <> ''
      )
      THEN CONCAT('t', COALESCE(SUBSTRING(k1, 1, 61), ''))
    END AS w0,
    COALESCE(
      CASE
        WHEN p1_0_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE)
        ) AND CAST(1000000000000000.0 AS DOUBLE)
        THEN p1_0_0
      END,
      CASE
        WHEN p1_1_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE)
        ) AND CAST(1000000000000000.0 AS DOUBLE)
        THEN p1_1_0
      END
    ) AS v1,
    CASE
      WHEN CASE
        WHEN p1_0_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE)
        ) AND CAST(1000000000000000.0 AS DOUBLE)
        THEN p1_0_0
      END IS NULL
      AND (
        NOT k2 IS NULL AND k2 <> ''
      )
      THEN CONCAT('t', COALESCE(SUBSTRING(k2, 1, 61), ''))
      WHEN CASE
        WHEN p1_0_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE)
        ) AND CAST(1000000000000000.0 AS DOUBLE)
        THEN p1_0_0
      END IS NULL
      AND CASE
        WHEN p1_1_0 BETWEEN (
          -CAST(1000000000000000.0 AS DOUBLE)
        ) AND CAST(1000000000000000.0 AS DOUBLE)
        THEN p1_1_0
      END IS NULL
      AND (
        NOT k3 IS NULL AND k3 <> ''
      )
      THEN CONCAT('t', COALESCE(SUBSTRING(k3, 1, 61), ''))
    END AS w1,
    COALESCE(
      CASE
        WHEN p2_0_0 BETWEEN CAST(0.0 AS DOUBLE) AND CAST(1.0 AS DOUBLE)
        THEN p2_0_0
      END,
      CASE
        WHEN p2_1_0 BETWEEN CAST(0.0 AS DOUBLE) AND CAST(1.0 AS DOUBLE)
        THEN p2_1_0
      END
    ) AS v2,
    CASE
      WHEN CASE
        WHEN p2_0_0 BETWEEN CAST(0.0 AS DOUBLE) AND CAST(1.0 AS DOUBLE)
        THEN p2_0_0
      END IS NULL
      AND (
        NOT k4 IS NULL AND k4 <> ''
      )
      THEN CONCAT('t', COALESCE(SUBSTRING(k4, 1, 61), ''))
      WHEN CASE
        WHEN p2_0_0 BETWEEN CAST(0.0 AS DOUBLE) AND CAST(1.0 AS DOUBLE)
        THEN p2_0_0
      END IS NULL
      AND CASE
        WHEN p2_1_0 BETWEEN CAST(0.0 AS DOUBLE) AND CAST(1.0 AS DOUBLE)
        THEN p2_1_0
      END IS NULL
      AND (
        NOT k5 IS NULL AND k5 <> ''
      )
      THEN CONCAT('t', COALESCE(SUBSTRING(k5, 1, 61), ''))
    END AS w2
  FROM step1
), profiles AS (
  SELECT
    CASE
      WHEN v0 IS NULL AND v1 IS NULL AND v2 IS NULL
      THEN 0
      WHEN (
        (
          COALESCE(v0, CAST(0.0 AS DOUBLE)) > CAST(500.0 AS DOUBLE)
        )
        AND (
          COALESCE(v2, CAST(0.5 AS DOUBLE)) < CAST(0.15 AS DOUBLE)
        )
      )
      THEN 1
      WHEN (
        (
          COALESCE(v0, CAST(0.0 AS DOUBLE)) > CAST(100.0 AS DOUBLE)
        )
        AND (
          COALESCE(v1, CAST(0.0 AS DOUBLE)) >= CAST(2.0 AS DOUBLE)
        )
      )
      THEN 2
      WHEN (
        COALESCE(v2, CAST(0.5 AS DOUBLE)) > CAST(0.4 AS DOUBLE)
      )
      THEN 3
      ELSE 4
    END AS state,
    CASE
      WHEN v0 = CAST(0 AS DOUBLE)
      THEN 0
      ELSE (
        CASE WHEN v0 < CAST(0 AS DOUBLE) THEN 32768 ELSE 0 END + CAST(FLOOR(
          CASE
            WHEN ABS(v0) < CAST(1.1754943508222875e-38 AS DOUBLE)
            THEN ROUND(ABS(v0) * CAST(7.1362384635298e+44 AS DOUBLE))
            ELSE ROUND(
              ABS(v0) * POWER(
                CAST(2 AS DOUBLE),
                CAST(23 AS DOUBLE) - (
                  FLOOR(LN(ABS(v0)) / LN(CAST(2 AS DOUBLE))) - CASE
                    WHEN ABS(v0) < POWER(CAST(2 AS DOUBLE), FLOOR(LN(ABS(v0)) / LN(CAST(2 AS DOUBLE))))
                    THEN CAST(1 AS DOUBLE)
                    ELSE CAST(0 AS DOUBLE)
                  END + CASE
                    WHEN ABS(v0) >= POWER(CAST(2 AS DOUBLE), FLOOR(LN(ABS(v0)) / LN(CAST(2 AS DOUBLE))) + CAST(1 AS DOUBLE))
                    THEN CAST(1 AS DOUBLE)
                    ELSE CAST(0 AS DOUBLE)
                  END
                )
              )
            ) + (
              (
                FLOOR(LN(ABS(v0)) / LN(CAST(2 AS DOUBLE))) - CASE
                  WHEN ABS(v0) < POWER(CAST(2 AS DOUBLE), FLOOR(LN(ABS(v0)) / LN(CAST(2 AS DOUBLE))))
                  THEN CAST(1 AS DOUBLE)
                  ELSE CAST(0 AS DOUBLE)
                END + CASE
                  WHEN ABS(v0) >= POWER(CAST(2 AS DOUBLE), FLOOR(LN(ABS(v0)) / LN(CAST(2 AS DOUBLE))) + CAST(1 AS DOUBLE))
                  THEN CAST(1 AS DOUBLE)
                  ELSE CAST(0 AS DOUBLE)
                END
              ) + CAST(126 AS DOUBLE)
            ) * CAST(8388608 AS DOUBLE)
          END / CAST(65536 AS DOUBLE)
        ) AS INT)
      )
    END AS b0,
    CASE
      WHEN v1 = CAST(0 AS DOUBLE)
      THEN 0
      ELSE (
        CASE WHEN v1 < CAST(0 AS DOUBLE) THEN 32768 ELSE 0 END + CAST(FLOOR(
          CASE
            WHEN ABS(v1) < CAST(1.1754943508222875e-38 AS DOUBLE)
            THEN ROUND(ABS(v1) * CAST(7.1362384635298e+44 AS DOUBLE))
            ELSE ROUND(
              ABS(v1) * POWER(
                CAST(2 AS DOUBLE),
                CAST(23 AS DOUBLE) - (
                  FLOOR(LN(ABS(v1)) / LN(CAST(2 AS DOUBLE))) - CASE
                    WHEN ABS(v1) < POWER(CAST(2 AS DOUBLE), FLOOR(LN(ABS(v1)) / LN(CAST(2 AS DOUBLE))))
                    THEN CAST(1 AS DOUBLE)
                    ELSE CAST(0 AS DOUBLE)
                  END + CASE
                    WHEN ABS(v1) >= POWER(CAST(2 AS DOUBLE), FLOOR(LN(ABS(v1)) / LN(CAST(2 AS DOUBLE))) + CAST(1 AS DOUBLE))
                    THEN CAST(1 AS DOUBLE)
                    ELSE CAST(0 AS DOUBLE)
                  END
                )
              )
            ) + (
              (
                FLOOR(LN(ABS(v1)) / LN(CAST(2 AS DOUBLE))) - CASE
                  WHEN ABS(v1) < POWER(CAST(2 AS DOUBLE), FLOOR(LN(ABS(v1)) / LN(CAST(2 AS DOUBLE))))
                  THEN CAST(1 AS DOUBLE)
                  ELSE CAST(0 AS DOUBLE)
                END + CASE
                  WHEN ABS(v1) >= POWER(CAST(2 AS DOUBLE), FLOOR(LN(ABS(v1)) / LN(CAST(2 AS DOUBLE))) + CAST(1 AS DOUBLE))
                  THEN CAST(1 AS DOUBLE)
                  ELSE CAST(0 AS DOUBLE)
                END
              ) + CAST(126 AS DOUBLE)
            ) * CAST(8388608 AS DOUBLE)
          END / CAST(65536 AS DOUBLE)
        ) AS INT)
      )
    END AS b1,
    CASE
      WHEN v2 = CAST(0 AS DOUBLE)
      THEN 0
      ELSE (
        CASE WHEN v2 < CAST(0 AS DOUBLE) THEN 32768 ELSE 0 END + CAST(FLOOR(
          CASE
            WHEN ABS(v2) < CAST(1.1754943508222875e-38 AS DOUBLE)
            THEN ROUND(ABS(v2) * CAST(7.1362384635298e+44 AS DOUBLE))
            ELSE ROUND(
              ABS(v2) * POWER(
                CAST(2 AS DOUBLE),
                CAST(23 AS DOUBLE) - (
                  FLOOR(LN(ABS(v2)) / LN(CAST(2 AS DOUBLE))) - CASE
                    WHEN ABS(v2) < POWER(CAST(2 AS DOUBLE), FLOOR(LN(ABS(v2)) / LN(CAST(2 AS DOUBLE))))
                    THEN CAST(1 AS DOUBLE)
                    ELSE CAST(0 AS DOUBLE)
                  END + CASE
                    WHEN ABS(v2) >= POWER(CAST(2 AS DOUBLE), FLOOR(LN(ABS(v2)) / LN(CAST(2 AS DOUBLE))) + CAST(1 AS DOUBLE))
                    THEN CAST(1 AS DOUBLE)
                    ELSE CAST(0 AS DOUBLE)
                  END
                )
              )
            ) + (
              (
                FLOOR(LN(ABS(v2)) / LN(CAST(2 AS DOUBLE))) - CASE
                  WHEN ABS(v2) < POWER(CAST(2 AS DOUBLE), FLOOR(LN(ABS(v2)) / LN(CAST(2 AS DOUBLE))))
                  THEN CAST(1 AS DOUBLE)
                  ELSE CAST(0 AS DOUBLE)
                END + CASE
                  WHEN ABS(v2) >= POWER(CAST(2 AS DOUBLE), FLOOR(LN(ABS(v2)) / LN(CAST(2 AS DOUBLE))) + CAST(1 AS DOUBLE))
                  THEN CAST(1 AS DOUBLE)
                  ELSE CAST(0 AS DOUBLE)
                END
              ) + CAST(126 AS DOUBLE)
            ) * CAST(8388608 AS DOUBLE)
          END / CAST(65536 AS DOUBLE)
        ) AS INT)
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
    SUM(CAST(v0 * CAST(1024.0 AS DOUBLE) AS DECIMAL(38, 0))) AS whole,
    SUM(
      CAST((
        v0 - CAST(CAST(v0 * CAST(1024.0 AS DOUBLE) AS DECIMAL(38, 0)) AS DOUBLE) / CAST(1024.0 AS DOUBLE)
      ) * CAST(4.611686018427388e+18 AS DOUBLE) AS DECIMAL(38, 0))
    ) AS fine,
    SUM(
      (
        (
          v0 - CAST(CAST(v0 * CAST(1024.0 AS DOUBLE) AS DECIMAL(38, 0)) AS DOUBLE) / CAST(1024.0 AS DOUBLE)
        ) - CAST(CAST((
          v0 - CAST(CAST(v0 * CAST(1024.0 AS DOUBLE) AS DECIMAL(38, 0)) AS DOUBLE) / CAST(1024.0 AS DOUBLE)
        ) * CAST(4.611686018427388e+18 AS DOUBLE) AS DECIMAL(38, 0)) AS DOUBLE) / CAST(4.611686018427388e+18 AS DOUBLE)
      )
    ) AS rest,
    VARIANCE_POP(v0) AS variance
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
    SUM(CAST(v1 * CAST(1024.0 AS DOUBLE) AS DECIMAL(38, 0))) AS whole,
    SUM(
      CAST((
        v1 - CAST(CAST(v1 * CAST(1024.0 AS DOUBLE) AS DECIMAL(38, 0)) AS DOUBLE) / CAST(1024.0 AS DOUBLE)
      ) * CAST(4.611686018427388e+18 AS DOUBLE) AS DECIMAL(38, 0))
    ) AS fine,
    SUM(
      (
        (
          v1 - CAST(CAST(v1 * CAST(1024.0 AS DOUBLE) AS DECIMAL(38, 0)) AS DOUBLE) / CAST(1024.0 AS DOUBLE)
        ) - CAST(CAST((
          v1 - CAST(CAST(v1 * CAST(1024.0 AS DOUBLE) AS DECIMAL(38, 0)) AS DOUBLE) / CAST(1024.0 AS DOUBLE)
        ) * CAST(4.611686018427388e+18 AS DOUBLE) AS DECIMAL(38, 0)) AS DOUBLE) / CAST(4.611686018427388e+18 AS DOUBLE)
      )
    ) AS rest,
    VARIANCE_POP(v1) AS variance
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
    SUM(CAST(v2 * CAST(4.611686018427388e+18 AS DOUBLE) AS DECIMAL(38, 0))) AS fine,
    SUM(
      (
        v2 - CAST(CAST(v2 * CAST(4.611686018427388e+18 AS DOUBLE) AS DECIMAL(38, 0)) AS DOUBLE) / CAST(4.611686018427388e+18 AS DOUBLE)
      )
    ) AS rest,
    VARIANCE_POP(v2) AS variance
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
      WHEN CAST(k6 AS VARCHAR) IS NULL
      THEN NULL
      WHEN FALSE
      THEN TRIM(REGEXP_REPLACE(CAST(k6 AS VARCHAR), '[[:space:]]+', ' '))
      WHEN TRIM(REGEXP_REPLACE(CAST(k6 AS VARCHAR), '[[:space:]]+', ' ')) = ''
      OR (
        LENGTH(TRIM(REGEXP_REPLACE(CAST(k6 AS VARCHAR), '[[:space:]]+', ' '))) <= 20
        AND REGEXP_LIKE(
          REPLACE(
            REPLACE(
              REGEXP_REPLACE(LOWER(TRIM(REGEXP_REPLACE(CAST(k6 AS VARCHAR), '[[:space:]]+', ' '))), ' */ *', '/'),
              '_',
              ' '
            ),
            '-',
            ' '
          ),
          '^(#?(\\\\n|n\\.a|n\\.a\\.|n/a|n/a\\.|n/d|nan|nat|nil|no data|no value|none|not applicable|not available|not defined|not known|not provided|not set|not specified|notset|null|undefined|unknown|unspecified)|(-|[‐-―−._/? ])+|(\\(|\\[|<|\\{|\\"|\'|`)+ *(\\\\n|blank|empty|missing|n\\.a|n\\.a\\.|n/a|n/a\\.|n/d|na|nan|nat|nil|no data|no value|none|not applicable|not available|not defined|not known|not provided|not set|not specified|notset|null|undefined|unknown|unspecified|(-|[‐-―−._/? ])+)? *(\\)|\\]|>|\\}|\\"|\'|`)+)$'
        )
      )
      THEN NULL
      WHEN LENGTH(TRIM(REGEXP_REPLACE(CAST(k6 AS VARCHAR), '[[:space:]]+', ' '))) > 80
      THEN ''
      WHEN REGEXP_LIKE(
        TRIM(REGEXP_REPLACE(CAST(k6 AS VARCHAR), '[[:space:]]+', ' ')),
        '^([A-Za-zÀ-ÖØ-öø-įĴ-ľŁ-ňŊ-žƀ-ǃǍ-ǰǴ-ʯͰ-ͳͶ-ͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-Ϗϗ-ϯϳϷ-ϸϺ-ҁҊ-ԯא-תؠ-يٮ-ٯٱ-ٴٹ-ۓەḀ-ẙẜ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ὰὲὴὶὸὺὼᾀ-ᾴᾶ-Ὰᾼῂ-ῄῆ-ῈῊῌῐ-ῒῖ-Ὶῠ-ῢῤ-ῪῬῲ-ῴῶ-ῸῺῼぁ-ゖゝ-ゞァ-ヺー-ヾ一-鿿가-힣]+(([\'_/-]| ?& ?|, | [/-] | )[A-Za-zÀ-ÖØ-öø-įĴ-ľŁ-ňŊ-žƀ-ǃǍ-ǰǴ-ʯͰ-ͳͶ-ͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-Ϗϗ-ϯϳϷ-ϸϺ-ҁҊ-ԯא-תؠ-يٮ-ٯٱ-ٴٹ-ۓەḀ-ẙẜ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ὰὲὴὶὸὺὼᾀ-ᾴᾶ-Ὰᾼῂ-ῄῆ-ῈῊῌῐ-ῒῖ-Ὶῠ-ῢῤ-ῪῬῲ-ῴῶ-ῸῺῼぁ-ゖゝ-ゞァ-ヺー-ヾ一-鿿가-힣]+)*|[A-Za-zÀ-ÖØ-öø-įĴ-ľŁ-ňŊ-žƀ-ǃǍ-ǰǴ-ʯͰ-ͳͶ-ͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-Ϗϗ-ϯϳϷ-ϸϺ-ҁҊ-ԯא-תؠ-يٮ-ٯٱ-ٴٹ-ۓەḀ-ẙẜ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ὰὲὴὶὸὺὼᾀ-ᾴᾶ-Ὰᾼῂ-ῄῆ-ῈῊῌῐ-ῒῖ-Ὶῠ-ῢῤ-ῪῬῲ-ῴῶ-ῸῺῼぁ-ゖゝ-ゞァ-ヺー-ヾ一-鿿가-힣]+([ -][A-Za-zÀ-ÖØ-öø-įĴ-ľŁ-ňŊ-žƀ-ǃǍ-ǰǴ-ʯͰ-ͳͶ-ͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-Ϗϗ-ϯϳϷ-ϸϺ-ҁҊ-ԯא-תؠ-يٮ-ٯٱ-ٴٹ-ۓەḀ-ẙẜ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ὰὲὴὶὸὺὼᾀ-ᾴᾶ-Ὰᾼῂ-ῄῆ-ῈῊῌῐ-ῒῖ-Ὶῠ-ῢῤ-ῪῬῲ-ῴῶ-ῸῺῼぁ-ゖゝ-ゞァ-ヺー-ヾ一-鿿가-힣]+)*(-[0-9]{1,2}| [0-9]{1,4})|[A-Za-z]{1,9}[0-9]{1,2}( [0-9]{1,4})?|[0-9]{1,6}[+]?|[0-9]{1,3}[.][0-9]{1,2}|[0-9]{1,3} ?%|[<>~$]? ?([1-9][0-9]{0,2}(,[0-9]{3})*,000|[1-9][0-9]{0,2}(,[0-9]{3})?) ?[+]?|[$]?(0|[1-9][0-9]{0,2}) ?[–-] ?[$]?[1-9][0-9]{0,2}|[$]?([1-9][0-9][01] ?[–-] ?[$]?[1-9],?[0-9]{2}[09])|[$]?(1,?[0-9]{2}[01] ?[–-] ?[$]?[2-9],?[0-9]{2}[09]|2,?[0-9]{2}[01] ?[–-] ?[$]?[3-9],?[0-9]{2}[09]|3,?[0-9]{2}[01] ?[–-] ?[$]?[4-9],?[0-9]{2}[09]|4,?[0-9]{2}[01] ?[–-] ?[$]?[5-9],?[0-9]{2}[09]|5,?[0-9]{2}[01] ?[–-] ?[$]?[6-9],?[0-9]{2}[09]|6,?[0-9]{2}[01] ?[–-] ?[$]?[7-9],?[0-9]{2}[09]|7,?[0-9]{2}[01] ?[–-] ?[$]?[8-9],?[0-9]{2}[09]|8,?[0-9]{2}[01] ?[–-] ?[$]?9,?[0-9]{2}[09])|[$]?([1-9],?[0-9]{2}[01] ?[–-] ?[$]?[1-9][0-9],?[0-9]{2}[09])|[$]?(1[0-9],?[0-9]{2}[01] ?[–-] ?[$]?[2-9][0-9],?[0-9]{2}[09]|2[0-9],?[0-9]{2}[01] ?[–-] ?[$]?[3-9][0-9],?[0-9]{2}[09]|3[0-9],?[0-9]{2}[01] ?[–-] ?[$]?[4-9][0-9],?[0-9]{2}[09]|4[0-9],?[0-9]{2}[01] ?[–-] ?[$]?[5-9][0-9],?[0-9]{2}[09]|5[0-9],?[0-9]{2}[01] ?[–-] ?[$]?[6-9][0-9],?[0-9]{2}[09]|6[0-9],?[0-9]{2}[01] ?[–-] ?[$]?[7-9][0-9],?[0-9]{2}[09]|7[0-9],?[0-9]{2}[01] ?[–-] ?[$]?[8-9][0-9],?[0-9]{2}[09]|8[0-9],?[0-9]{2}[01] ?[–-] ?[$]?9[0-9],?[0-9]{2}[09])|[$]?([1-9][0-9],?[0-9]{2}[01] ?[–-] ?[$]?[1-9][0-9]{2},?[0-9]{2}[09]))$'
      )
      THEN TRIM(REGEXP_REPLACE(CAST(k6 AS VARCHAR), '[[:space:]]+', ' '))
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
      THEN CONCAT('t', COALESCE(SUBSTRING(k6, 1, 61), ''))
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
      WHEN CAST(k7 AS VARCHAR) IS NULL
      THEN NULL
      WHEN FALSE
      THEN TRIM(REGEXP_REPLACE(CAST(k7 AS VARCHAR), '[[:space:]]+', ' '))
      WHEN TRIM(REGEXP_REPLACE(CAST(k7 AS VARCHAR), '[[:space:]]+', ' ')) = ''
      OR (
        LENGTH(TRIM(REGEXP_REPLACE(CAST(k7 AS VARCHAR), '[[:space:]]+', ' '))) <= 20
        AND REGEXP_LIKE(
          REPLACE(
            REPLACE(
              REGEXP_REPLACE(LOWER(TRIM(REGEXP_REPLACE(CAST(k7 AS VARCHAR), '[[:space:]]+', ' '))), ' */ *', '/'),
              '_',
              ' '
            ),
            '-',
            ' '
          ),
          '^(#?(\\\\n|n\\.a|n\\.a\\.|n/a|n/a\\.|n/d|nan|nat|nil|no data|no value|none|not applicable|not available|not defined|not known|not provided|not set|not specified|notset|null|undefined|unknown|unspecified)|(-|[‐-―−._/? ])+|(\\(|\\[|<|\\{|\\"|\'|`)+ *(\\\\n|blank|empty|missing|n\\.a|n\\.a\\.|n/a|n/a\\.|n/d|na|nan|nat|nil|no data|no value|none|not applicable|not available|not defined|not known|not provided|not set|not specified|notset|null|undefined|unknown|unspecified|(-|[‐-―−._/? ])+)? *(\\)|\\]|>|\\}|\\"|\'|`)+)$'
        )
      )
      THEN NULL
      WHEN LENGTH(TRIM(REGEXP_REPLACE(CAST(k7 AS VARCHAR), '[[:space:]]+', ' '))) > 80
      THEN ''
      WHEN REGEXP_LIKE(
        TRIM(REGEXP_REPLACE(CAST(k7 AS VARCHAR), '[[:space:]]+', ' ')),
        '^([A-Za-zÀ-ÖØ-öø-įĴ-ľŁ-ňŊ-žƀ-ǃǍ-ǰǴ-ʯͰ-ͳͶ-ͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-Ϗϗ-ϯϳϷ-ϸϺ-ҁҊ-ԯא-תؠ-يٮ-ٯٱ-ٴٹ-ۓەḀ-ẙẜ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ὰὲὴὶὸὺὼᾀ-ᾴᾶ-Ὰᾼῂ-ῄῆ-ῈῊῌῐ-ῒῖ-Ὶῠ-ῢῤ-ῪῬῲ-ῴῶ-ῸῺῼぁ-ゖゝ-ゞァ-ヺー-ヾ一-鿿가-힣]+(([\'_/-]| ?& ?|, | [/-] | )[A-Za-zÀ-ÖØ-öø-įĴ-ľŁ-ňŊ-žƀ-ǃǍ-ǰǴ-ʯͰ-ͳͶ-ͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-Ϗϗ-ϯϳϷ-ϸϺ-ҁҊ-ԯא-תؠ-يٮ-ٯٱ-ٴٹ-ۓەḀ-ẙẜ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ὰὲὴὶὸὺὼᾀ-ᾴᾶ-Ὰᾼῂ-ῄῆ-ῈῊῌῐ-ῒῖ-Ὶῠ-ῢῤ-ῪῬῲ-ῴῶ-ῸῺῼぁ-ゖゝ-ゞァ-ヺー-ヾ一-鿿가-힣]+)*|[A-Za-zÀ-ÖØ-öø-įĴ-ľŁ-ňŊ-žƀ-ǃǍ-ǰǴ-ʯͰ-ͳͶ-ͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-Ϗϗ-ϯϳϷ-ϸϺ-ҁҊ-ԯא-תؠ-يٮ-ٯٱ-ٴٹ-ۓەḀ-ẙẜ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ὰὲὴὶὸὺὼᾀ-ᾴᾶ-Ὰᾼῂ-ῄῆ-ῈῊῌῐ-ῒῖ-Ὶῠ-ῢῤ-ῪῬῲ-ῴῶ-ῸῺῼぁ-ゖゝ-ゞァ-ヺー-ヾ一-鿿가-힣]+([ -][A-Za-zÀ-ÖØ-öø-įĴ-ľŁ-ňŊ-žƀ-ǃǍ-ǰǴ-ʯͰ-ͳͶ-ͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-Ϗϗ-ϯϳϷ-ϸϺ-ҁҊ-ԯא-תؠ-يٮ-ٯٱ-ٴٹ-ۓەḀ-ẙẜ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ὰὲὴὶὸὺὼᾀ-ᾴᾶ-Ὰᾼῂ-ῄῆ-ῈῊῌῐ-ῒῖ-Ὶῠ-ῢῤ-ῪῬῲ-ῴῶ-ῸῺῼぁ-ゖゝ-ゞァ-ヺー-ヾ一-鿿가-힣]+)*(-[0-9]{1,2}| [0-9]{1,4})|[A-Za-z]{1,9}[0-9]{1,2}( [0-9]{1,4})?|[0-9]{1,6}[+]?|[0-9]{1,3}[.][0-9]{1,2}|[0-9]{1,3} ?%|[<>~$]? ?([1-9][0-9]{0,2}(,[0-9]{3})*,000|[1-9][0-9]{0,2}(,[0-9]{3})?) ?[+]?|[$]?(0|[1-9][0-9]{0,2}) ?[–-] ?[$]?[1-9][0-9]{0,2}|[$]?([1-9][0-9][01] ?[–-] ?[$]?[1-9],?[0-9]{2}[09])|[$]?(1,?[0-9]{2}[01] ?[–-] ?[$]?[2-9],?[0-9]{2}[09]|2,?[0-9]{2}[01] ?[–-] ?[$]?[3-9],?[0-9]{2}[09]|3,?[0-9]{2}[01] ?[–-] ?[$]?[4-9],?[0-9]{2}[09]|4,?[0-9]{2}[01] ?[–-] ?[$]?[5-9],?[0-9]{2}[09]|5,?[0-9]{2}[01] ?[–-] ?[$]?[6-9],?[0-9]{2}[09]|6,?[0-9]{2}[01] ?[–-] ?[$]?[7-9],?[0-9]{2}[09]|7,?[0-9]{2}[01] ?[–-] ?[$]?[8-9],?[0-9]{2}[09]|8,?[0-9]{2}[01] ?[–-] ?[$]?9,?[0-9]{2}[09])|[$]?([1-9],?[0-9]{2}[01] ?[–-] ?[$]?[1-9][0-9],?[0-9]{2}[09])|[$]?(1[0-9],?[0-9]{2}[01] ?[–-] ?[$]?[2-9][0-9],?[0-9]{2}[09]|2[0-9],?[0-9]{2}[01] ?[–-] ?[$]?[3-9][0-9],?[0-9]{2}[09]|3[0-9],?[0-9]{2}[01] ?[–-] ?[$]?[4-9][0-9],?[0-9]{2}[09]|4[0-9],?[0-9]{2}[01] ?[–-] ?[$]?[5-9][0-9],?[0-9]{2}[09]|5[0-9],?[0-9]{2}[01] ?[–-] ?[$]?[6-9][0-9],?[0-9]{2}[09]|6[0-9],?[0-9]{2}[01] ?[–-] ?[$]?[7-9][0-9],?[0-9]{2}[09]|7[0-9],?[0-9]{2}[01] ?[–-] ?[$]?[8-9][0-9],?[0-9]{2}[09]|8[0-9],?[0-9]{2}[01] ?[–-] ?[$]?9[0-9],?[0-9]{2}[09])|[$]?([1-9][0-9],?[0-9]{2}[01] ?[–-] ?[$]?[1-9][0-9]{2},?[0-9]{2}[09]))$'
      )
      THEN TRIM(REGEXP_REPLACE(CAST(k7 AS VARCHAR), '[[:space:]]+', ' '))
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
      THEN CONCAT('t', COALESCE(SUBSTRING(k7, 1, 61), ''))
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
    CAST(0 AS INT) AS trait,
    w0 AS wrong,
    CAST(SUM(n) AS BIGINT) AS n
  FROM wrong
  WHERE
    NOT w0 IS NULL
  GROUP BY
    w0
  UNION ALL
  SELECT
    CAST(1 AS INT) AS trait,
    w1 AS wrong,
    CAST(SUM(n) AS BIGINT) AS n
  FROM wrong
  WHERE
    NOT w1 IS NULL
  GROUP BY
    w1
  UNION ALL
  SELECT
    CAST(2 AS INT) AS trait,
    w2 AS wrong,
    CAST(SUM(n) AS BIGINT) AS n
  FROM wrong
  WHERE
    NOT w2 IS NULL
  GROUP BY
    w2
  UNION ALL
  SELECT
    CAST(3 AS INT) AS trait,
    wrong AS wrong,
    CAST(SUM(n) AS BIGINT) AS n
  FROM words3
  WHERE
    NOT wrong IS NULL
  GROUP BY
    wrong
  UNION ALL
  SELECT
    CAST(4 AS INT) AS trait,
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
    SUBSTRING(wrong, 1, 1) AS kind,
    SUBSTRING(wrong, 2) AS content,
    CONCAT(
      '"',
      CASE
        WHEN LENGTH(
          REGEXP_REPLACE(
            REGEXP_REPLACE(
              REGEXP_REPLACE(
                REGEXP_REPLACE(
                  REGEXP_REPLACE(
                    REGEXP_REPLACE(
                      REGEXP_REPLACE(
                        TRANSLATE(
                          SUBSTRING(CAST(SUBSTRING(wrong, 2) AS VARCHAR), 1, 60),
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
        AND LENGTH(CAST(SUBSTRING(wrong, 2) AS VARCHAR)) <= 60
        THEN REGEXP_REPLACE(
          REGEXP_REPLACE(
            REGEXP_REPLACE(
              REGEXP_REPLACE(
                REGEXP_REPLACE(
                  REGEXP_REPLACE(
                    REGEXP_REPLACE(
                      TRANSLATE(
                        SUBSTRING(CAST(SUBSTRING(wrong, 2) AS VARCHAR), 1, 60),
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
        ELSE CONCAT(
          SUBSTRING(
            REGEXP_REPLACE(
              REGEXP_REPLACE(
                REGEXP_REPLACE(
                  REGEXP_REPLACE(
                    REGEXP_REPLACE(
                      REGEXP_REPLACE(
                        REGEXP_REPLACE(
                          TRANSLATE(
                            SUBSTRING(CAST(SUBSTRING(wrong, 2) AS VARCHAR), 1, 60),
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
            ),
            1,
            31
          ),
          '…'
        )
      END,
      '"'
    ) AS shape,
    n
  FROM errors
)
SELECT
  state,
  CAST(NULL AS INT) AS trait,
  CAST(NULL AS INT) AS bucket,
  CAST(NULL AS VARCHAR) AS words,
  COUNT(*) AS n,
  CAST(NULL AS DECIMAL(38, 0)) AS whole,
  CAST(NULL AS DECIMAL(38, 0)) AS fine,
  CAST(NULL AS DOUBLE) AS rest,
  CAST(NULL AS DOUBLE) AS squares
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
      WHEN ABS(total / n - mean) > CAST(1e-150 AS DOUBLE)
      THEN n * POWER(total / n - mean, 2)
      ELSE CAST(0 AS DOUBLE)
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
    SUM(total) OVER (PARTITION BY state) / SUM(n) OVER (PARTITION BY state) AS mean
  FROM (
    SELECT
      state,
      n,
      whole,
      fine,
      rest,
      variance,
      CASE WHEN ABS(total) > CAST(1e-200 AS DOUBLE) THEN total ELSE CAST(0 AS DOUBLE) END AS total
    FROM (
      SELECT
        state,
        n,
        whole,
        fine,
        rest,
        variance,
        CAST(whole AS DOUBLE) / CAST(1024.0 AS DOUBLE) + (
          CAST(fine AS DOUBLE) / CAST(4.611686018427388e+18 AS DOUBLE) + rest
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
      WHEN ABS(total / n - mean) > CAST(1e-150 AS DOUBLE)
      THEN n * POWER(total / n - mean, 2)
      ELSE CAST(0 AS DOUBLE)
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
    SUM(total) OVER (PARTITION BY state) / SUM(n) OVER (PARTITION BY state) AS mean
  FROM (
    SELECT
      state,
      n,
      whole,
      fine,
      rest,
      variance,
      CASE WHEN ABS(total) > CAST(1e-200 AS DOUBLE) THEN total ELSE CAST(0 AS DOUBLE) END AS total
    FROM (
      SELECT
        state,
        n,
        whole,
        fine,
        rest,
        variance,
        CAST(whole AS DOUBLE) / CAST(1024.0 AS DOUBLE) + (
          CAST(fine AS DOUBLE) / CAST(4.611686018427388e+18 AS DOUBLE) + rest
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
      WHEN ABS(total / n - mean) > CAST(1e-150 AS DOUBLE)
      THEN n * POWER(total / n - mean, 2)
      ELSE CAST(0 AS DOUBLE)
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
    SUM(total) OVER (PARTITION BY state) / SUM(n) OVER (PARTITION BY state) AS mean
  FROM (
    SELECT
      state,
      n,
      whole,
      fine,
      rest,
      variance,
      CASE WHEN ABS(total) > CAST(1e-200 AS DOUBLE) THEN total ELSE CAST(0 AS DOUBLE) END AS total
    FROM (
      SELECT
        state,
        n,
        whole,
        fine,
        rest,
        variance,
        CAST(whole AS DOUBLE) / CAST(1024.0 AS DOUBLE) + (
          CAST(fine AS DOUBLE) / CAST(4.611686018427388e+18 AS DOUBLE) + rest
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
        THEN SUBSTRING(shape, 2, LENGTH(shape) - 2)
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

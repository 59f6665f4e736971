"""Operations of SNS, by what they are about."""

use super::*;
use Level::{Blue, Orange, Red, Yellow};

fn lec(likelihood: f32, exposure: f32, consequence: f32) -> Result<(f32, Level), GradingError> {
    Grading::shipped().unwrap().lec(Lec { likelihood, exposure, consequence })
}

fn matrix(name: &str, likelihood: u8, severity: u8) -> Result<(u8, Level), GradingError> {
    Grading::shipped().unwrap().matrix(name, likelihood, severity)
}

/// A scale on which every product from 1 to 100 can be reached, to look at the thresholds themselves.
fn level_of_product(product: f32) -> Level {
    let mut grading = Grading::shipped().unwrap();
    grading.lec.likelihood = vec![product];
    grading.lec(Lec { likelihood: product, exposure: 1.0, consequence: 1.0 }).unwrap().1
}

/// Spoils one place of the shipped file and compares the sentence of its refusal.
fn refused(right: &str, wrong: &str, sentence: &str) {
    assert!(SHIPPED.contains(right), "{right} is not in the file");
    assert_eq!(Grading::parse(&SHIPPED.replacen(right, wrong, 1)).unwrap_err().to_string(), sentence);
}

#[test]
fn the_shipped_scales_parse() {
    let grading = Grading::shipped().unwrap();
    assert_eq!(grading.matrix.iter().map(|matrix| matrix.name.as_str()).collect::<Vec<_>>(), ["ls-5", "coal-6"]);
}

#[test]
fn three_by_six_by_fifteen_is_270_and_orange() {
    assert_eq!(lec(3.0, 6.0, 15.0), Ok((270.0, Orange)));
}

#[test]
fn six_by_six_by_fifteen_is_540_and_red() {
    assert_eq!(lec(6.0, 6.0, 15.0), Ok((540.0, Red)));
}

#[test]
fn one_by_ten_by_seven_is_70_and_yellow() {
    assert_eq!(lec(1.0, 10.0, 7.0), Ok((70.0, Yellow)));
}

#[test]
fn one_by_six_by_seven_is_42_and_blue() {
    assert_eq!(lec(1.0, 6.0, 7.0), Ok((42.0, Blue)));
}

#[test]
fn a_product_at_a_threshold_has_the_greater_level() {
    assert_eq!([70.0, 160.0, 320.0].map(level_of_product), [Yellow, Orange, Red]);
}

#[test]
fn a_product_below_a_threshold_has_the_lesser_level() {
    assert_eq!([69.99, 159.99, 319.99].map(level_of_product), [Blue, Yellow, Orange]);
}

#[test]
fn no_product_of_the_scale_is_moved_over_a_threshold_by_rounding() {
    let scale = Grading::shipped().unwrap().lec;
    let mut looked_at = 0;
    for &likelihood in &scale.likelihood {
        for &exposure in &scale.exposure {
            for &consequence in &scale.consequence {
                // Tenths are whole numbers, so this product is exact.
                let tenths = |factor: f32| (f64::from(factor) * 10.0).round() as i64;
                let exact = tenths(likelihood) * tenths(exposure) * tenths(consequence);
                let expected = threshold(exact, 320_000, 160_000, 70_000);
                assert_eq!(lec(likelihood, exposure, consequence).unwrap().1, expected, "{likelihood} {exposure} {consequence}");
                looked_at += 1;
            }
        }
    }
    assert_eq!(looked_at, 7 * 6 * 6);
}

#[test]
fn a_likelihood_between_two_of_the_scale_is_refused() {
    let sentence = "likelihood 5 is not on the scale; it must be one of [10.0, 6.0, 3.0, 1.0, 0.5, 0.2, 0.1]";
    assert_eq!(lec(5.0, 6.0, 15.0).unwrap_err().to_string(), sentence);
}

#[test]
fn an_exposure_off_the_scale_is_refused() {
    assert!(lec(6.0, 5.0, 15.0).unwrap_err().to_string().starts_with("exposure 5 is not on the scale"));
}

#[test]
fn a_consequence_that_is_no_number_is_refused() {
    assert!(lec(6.0, 6.0, f32::NAN).unwrap_err().to_string().starts_with("consequence NaN is not on the scale"));
}

#[test]
fn the_five_by_five_matrix_is_red_from_20_orange_from_15_and_yellow_from_9() {
    assert_eq!(matrix("ls-5", 4, 5), Ok((20, Red)));
    assert_eq!(matrix("ls-5", 4, 4), Ok((16, Orange)));
    assert_eq!(matrix("ls-5", 3, 5), Ok((15, Orange)));
    assert_eq!(matrix("ls-5", 3, 4), Ok((12, Yellow)));
    assert_eq!(matrix("ls-5", 3, 3), Ok((9, Yellow)));
    assert_eq!(matrix("ls-5", 2, 4), Ok((8, Blue)));
}

#[test]
fn the_coal_matrix_is_red_from_30_orange_from_18_and_yellow_from_9() {
    assert_eq!(matrix("coal-6", 5, 6), Ok((30, Red)));
    assert_eq!(matrix("coal-6", 5, 5), Ok((25, Orange)));
    assert_eq!(matrix("coal-6", 3, 6), Ok((18, Orange)));
    assert_eq!(matrix("coal-6", 4, 4), Ok((16, Yellow)));
    assert_eq!(matrix("coal-6", 3, 3), Ok((9, Yellow)));
    assert_eq!(matrix("coal-6", 2, 4), Ok((8, Blue)));
}

#[test]
fn the_corners_of_a_matrix_lie_inside_it() {
    assert_eq!((matrix("ls-5", 1, 1), matrix("ls-5", 5, 5)), (Ok((1, Blue)), Ok((25, Red))));
}

#[test]
fn a_likelihood_outside_the_matrix_is_refused() {
    assert_eq!(matrix("ls-5", 6, 1).unwrap_err().to_string(), "likelihood 6 and severity 1 must each be from 1 to 5");
}

#[test]
fn a_severity_of_zero_is_refused() {
    assert_eq!(matrix("coal-6", 6, 0).unwrap_err().to_string(), "likelihood 6 and severity 0 must each be from 1 to 6");
}

#[test]
fn a_matrix_nobody_defined_is_refused() {
    assert_eq!(matrix("ls-7", 1, 1).unwrap_err().to_string(), "there is no matrix named \"ls-7\"");
}

#[test]
fn an_unknown_key_in_a_grading_file_is_refused() {
    refused("red_from = 320.0", "red_from = 320.0\nblue_from = 0.0", "grading file is not valid");
}

#[test]
fn a_matrix_whose_product_does_not_fit_is_refused() {
    refused("size = 6", "size = 16", "grading file, coal-6: a matrix has a size from 1 to 15");
}

#[test]
fn a_matrix_without_cells_is_refused() {
    refused("size = 5", "size = 0", "grading file, ls-5: a matrix has a size from 1 to 15");
}

#[test]
fn matrix_thresholds_that_do_not_rise_are_refused() {
    refused("orange_from = 18", "orange_from = 30", "grading file, coal-6: thresholds must rise from yellow over orange to red");
}

#[test]
fn lec_thresholds_that_do_not_rise_are_refused() {
    refused("yellow_from = 70.0", "yellow_from = nan", "grading file, lec: thresholds must rise from yellow over orange to red");
}

#[test]
fn levels_are_ordered_and_named() {
    assert!(Blue < Yellow && Yellow < Orange && Orange < Red);
    assert!(Level::ALL.into_iter().all(|level| Level::from_name(level.name()) == Some(level)));
    assert_eq!(Level::from_name("green"), None);
}

#[test]
fn exchange_data_counts_from_1_for_major_to_4_for_low() {
    assert_eq!([Red, Orange, Yellow, Blue].map(Level::exchange_code), [1, 2, 3, 4]);
}
